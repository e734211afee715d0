/** Another backend gives the same predictions and the same update. */
import * as cf from "@cellfold/cellfold";
import { LARGEST_INPUT, libraryData, libraryInput } from "../data.ts";
import { randomFrom } from "../random.ts";
import { program } from "../program.ts";
import { literal } from "../source.ts";
import {
  type Context,
  counted,
  type Device,
  exactOutputs,
  Fault,
  firstApart,
  predicted,
  RATE,
  trainerFor,
} from "./context.ts";
import { trainingLoss } from "./objective.ts";
import { Skipped } from "../skipped.ts";

const others: readonly Device[] = ["reference", "wasm", { name: "wasm", threads: 1 }, {
  name: "wasm",
  threads: 2,
}];

/** Throws unless another backend agrees with this one. */
export async function backends(context: Context): Promise<void> {
  const { realized, device } = context;
  const { one, inputs, variables } = realized;
  const random = randomFrom(one.seed).fork("backends");
  const other = random.pick(others.filter((name) => name !== device));
  using trainer = trainerFor(realized, other);
  const { outputs, exact, tolerances } = exactOutputs(context);
  const got = await predicted({ realized, trainer }, libraryInput(realized, inputs));
  one.heads.forEach((_, place) => {
    const { values, places } = exact[place];
    const apart = firstApart(counted(outputs[place], got[place]).values, values, tolerances[place]);
    if (apart === undefined) return;
    throw new Fault(
      `on ${literal(other)} output ${place} at ${places[apart]} is not ${values[apart]}`,
      program(realized, [
        `const [got, expected] = await Promise.all([${literal(other)}, ${
          literal(device)
        }].map(async (device) => {`,
        `  const output = await cf.predict(model, variables, x, { device });`,
        `  return cf.treeLeaves(output).flatMap(({ data }) => [...data]);`,
        `}));`,
        `const tolerance = ${tolerances[place][apart]};`,
      ]),
    );
  });
  if (one.statefulBatch !== null && one.statefulBatch !== one.samples) {
    throw new Skipped("several stateful batches");
  }
  const data = libraryData(realized);
  const updates = [];
  const refusals = [];
  for (const using of [context.trainer, trainer]) {
    try {
      const after = await cf.toHost((await using.trainOnBatch({ variables }, data)).variables);
      updates.push(cf.getWeights(after).flatMap(({ tensor }) => [...cf.host(tensor).data]));
    } catch (error) {
      if (!(error instanceof cf.NonFiniteLossError)) throw error;
      refusals.push(error);
    }
  }
  if (refusals.length > 0) {
    // What training draws may lead where predictions do not; else the interpreter says whether it must end there.
    const mayLeave = one.draws || !(Math.abs(trainingLoss(realized, realized.weights)) < 1e6);
    if (refusals.length === 1 || !mayLeave) throw refusals[0];
    throw new Skipped("the loss leaves what float32 has");
  }
  if (!updates.every((values) => values.every(Number.isFinite))) throw new Error("an update is not finite");
  // Each is a sum over a chain of up to 2^10 rounded operations, each off by up to 2^-22, whichever backend sums.
  const size = updates[0].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // The derivative of a saturated activation, as 1 - tanh², is off by some 2^-22 however small it is, and a gradient
  // multiplies it by an input.
  const largest = Math.max(...one.inputs.map(({ scale = 1 }) => LARGEST_INPUT * scale));
  const tolerance = updates[0].map(() => 2 ** -12 * size + RATE * 2 ** -20 * largest);
  const apart = firstApart(updates[1], updates[0], tolerance);
  if (apart === undefined) return;
  throw new Error(
    `on ${literal(other)} an update gives ${updates[1][apart]}, on ${literal(device)} ${updates[0][apart]}`,
  );
}
