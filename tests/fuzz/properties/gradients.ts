/**
 * One update by gradient descent: frozen weights stay as they are, the others change by the gradient, which is
 * compared with differences of the interpreter's loss, and the state (moving statistics, carries) is the interpreter's.
 */
import * as cf from "@cellfold/cellfold";
import { constraintsOf } from "../constraints.ts";
import { interpret, libraryData, type Realized, type Weight } from "../data.ts";
import { freely } from "./constraints.ts";
import { isTrained } from "../frozen.ts";
import { fill, flat, nest, type Nested, overflows } from "../interpreter/nested.ts";
import { objectiveLines, program } from "../program.ts";
import { randomFrom } from "../random.ts";
import { literal } from "../source.ts";
import {
  type Context,
  Fault,
  firstApart,
  RATE,
  toleranceOfLog,
  tolerancesOf,
  trainerFor,
} from "./context.ts";
import { trainingLoss } from "./objective.ts";
import { Skipped } from "../skipped.ts";

/** The step of the differences: their error is of its square, and 1e-16 / 1e-5 of the loss. */
const STEP = 1e-5;

/** What slopes from such differences are off by: 2^-52 of the loss, a few times, over the step. */
const NOISE = 1e-9;

/**
 * What float32 makes of a gradient that is a sum over a chain of up to 2^10 rounded operations, each off by up to
 * 2^-22: relative to the sum of the sizes of what is summed.
 */
const RELATIVE = 2 ** -12;

/** Weights moved along a direction. */
function moved(
  weights: readonly Weight[],
  direction: ReadonlyMap<string, readonly number[]>,
  by: number,
): Weight[] {
  return weights.map((weight) => {
    const along = direction.get(weight.path);
    if (!along) return weight;
    const values = flat(weight.values).map((value, i) => value + by * along[i]);
    return { ...weight, values: nest(values, weight.shape) };
  });
}

/** Throws unless an update is what the interpreter's loss says; constraints, which act after it, are left out. */
export async function gradients(context: Context): Promise<void> {
  if (constraintsOf(context.realized.one.model).size === 0) return await updates(context);
  const realized = freely(context.realized);
  using trainer = trainerFor(realized, context.device);
  await updates({ ...context, realized, trainer });
}

async function updates(context: Context): Promise<void> {
  const { realized, trainer } = context;
  const { one, weights, variables } = realized;
  if (one.draws) throw new Skipped("training draws random numbers");
  if (one.statefulBatch !== null && one.statefulBatch !== one.samples) {
    throw new Skipped("several stateful batches");
  }
  const trained = weights.filter(({ path }) => isTrained(one.model, path));
  const exact = trainingLoss(realized, weights);
  if (!(Math.abs(exact) < 1e6)) throw new Skipped("the loss leaves what float32 has");
  const after = await trainer.trainOnBatch({ variables }, libraryData(realized));
  const updated = new Map(
    cf.getWeights(await cf.toHost(after.variables)).map(({ path, tensor }) => [path, cf.host(tensor).data]),
  );
  checkLoss(realized, after.logs.loss, exact);
  for (const { path, values } of weights) {
    if (path.startsWith("state") || isTrained(one.model, path)) continue;
    const now = updated.get(path);
    if (flat(values).every((value, i) => Object.is(value, now?.[i]))) continue;
    throw new Fault(
      `the frozen weight ${path} has changed`,
      trainingProgram(realized, path, flat(values), 0),
    );
  }
  checkState(realized, updated);
  if (trained.length === 0) return;
  const random = randomFrom(one.seed).fork("direction");
  const direction = new Map(
    trained.map(({ path, shape }) => [path, flat(fill(shape, () => random.next() * 2 - 1))]),
  );
  // No gradient passes a carry, not even between two calls of one layer in a batch: a moved model starts where
  // this one did.
  const { started } = interpret(realized, realized.inputs, weights, { training: true });
  const along = (by: number) => trainingLoss(realized, moved(weights, direction, by), started);
  const [ahead, behind, halfAhead, halfBehind] = [STEP, -STEP, STEP / 2, -STEP / 2].map(along);
  // Richardson's extrapolation: the error of a central difference is quartered by half the step.
  const [wide, narrow] = [(ahead - behind) / (2 * STEP), (halfAhead - halfBehind) / STEP];
  const expected = (4 * narrow - wide) / 3;
  let got = 0, size = Math.abs(exact);
  for (const { path, values } of trained) {
    const now = updated.get(path);
    flat(values).forEach((value, i) => {
      const slope = (value - Number(now?.[i])) / RATE * direction.get(path)![i]; // every trained weight has one
      got += slope;
      size += Math.abs(slope) + Math.abs(value) / RATE;
    });
  }
  // The slopes ahead and behind come together as the step gets smaller, but at a kink, where nothing is the derivative.
  const bend = Math.abs(ahead - 2 * exact + behind) / STEP;
  const halfBend = Math.abs(halfAhead - 2 * exact + halfBehind) / (STEP / 2);
  const isBroken = Number.isFinite(exact) && !Number.isFinite(expected); // a weight that is a mask's value made a mask
  if (isBroken || (bend > NOISE * (1 + Math.abs(exact)) && halfBend > 0.75 * bend)) {
    throw new Skipped("the loss has a kink here");
  }
  // What overflows and is left out then, such as the output of a step, has the slope 0 · ∞.
  const isOrdinary = one.inputs.every(({ padding }) => padding.kind !== "wild");
  if (Number.isNaN(got) && isOrdinary && overflows(() => trainingLoss(realized, weights))) {
    throw new Skipped("a number on the way leaves what float32 has");
  }
  const tolerance = RELATIVE * size;
  if (Math.abs(got - expected) <= tolerance) return;
  throw new Fault(
    `the derivative along a direction is ${got}, expected ${expected} ± ${tolerance}`,
    program(realized, [
      ...objectiveLines(realized),
      `const direction = {`,
      ...trained.map(({ path, shape }) =>
        `  ${JSON.stringify(path)}: ${literal(direction.get(path))}, // ${literal(shape)}`
      ),
      `};`,
      ...updateLines,
      `const before = Object.fromEntries(cf.getWeights(variables).map(({ path, tensor }) => [path, cf.host(tensor).data]));`,
      `let slope = 0;`,
      `for (const [path, along] of Object.entries(direction)) {`,
      `  along.forEach((d, i) => slope += (before[path][i] - updated[path][i]) / ${RATE} * d);`,
      `}`,
      `const got = [slope];`,
      `const expected = [${expected}]; // by differences of the loss in float64, with carries held`,
      `const tolerance = ${tolerance};`,
    ]),
  );
}

const updateLines = [
  `const trainer = cf.createTrainer(model, { ...objective, optimizer: cf.sgd({ learningRate: ${RATE} }) });`,
  `const after = await trainer.trainOnBatch({ variables }, data);`,
  `const updated = Object.fromEntries(`,
  `  cf.getWeights(await cf.toHost(after.variables)).map(({ path, tensor }) => [path, cf.host(tensor).data]),`,
  `);`,
];

function trainingProgram(
  realized: Realized,
  path: string,
  expected: readonly number[],
  tolerance: number,
): string {
  return program(realized, [
    ...objectiveLines(realized),
    ...updateLines,
    `const got = Array.from(updated[${JSON.stringify(path)}]);`,
    `const expected = ${literal(expected)};`,
    `const tolerance = ${tolerance};`,
  ]);
}

function checkLoss(realized: Realized, got: number, exact: number): void {
  const tolerance = toleranceOfLog(
    realized.one.seed,
    exact,
    () => trainingLoss(realized, realized.weights),
  );
  if (Math.abs(got - exact) <= tolerance) return;
  throw new Fault(
    `the loss of a training batch is ${got}, expected ${exact} ± ${tolerance}`,
    program(realized, [
      ...objectiveLines(realized),
      ...updateLines,
      `const got = [after.logs.loss];`,
      `const expected = [${exact}];`,
      `const tolerance = ${tolerance};`,
    ]),
  );
}

/** The state after a training batch. */
function checkState(realized: Realized, updated: ReadonlyMap<string, ArrayLike<number>>): void {
  const { one, weights, inputs } = realized;
  const run = () => stateWeights(realized, interpret(realized, inputs, weights, { training: true }).state);
  const exact = run();
  for (const [path, values] of exact) {
    const tolerance = tolerancesOf(one.seed, values, () => run().get(path) ?? []);
    const got = Array.from(updated.get(path) ?? []);
    const apart = firstApart(got, values, tolerance);
    if (apart === undefined) continue;
    throw new Fault(
      `the state ${path} at ${apart} is ${got[apart]}, expected ${values[apart]} ± ${tolerance[apart]}`,
      trainingProgram(realized, path, values, tolerance[apart]),
    );
  }
}

/** The interpreter's state by the paths of weights. */
function stateWeights(
  { weights }: Realized,
  state: ReadonlyMap<string, unknown>,
): Map<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const { path } of weights) {
    if (!path.startsWith("state")) continue;
    const names = path.split(".");
    for (let depth = names.length; depth > 0; depth--) {
      const owner = state.get(names.slice(0, depth).join("."));
      if (owner === undefined) continue;
      const rest = names.slice(depth);
      const pick = (from: unknown, keys: readonly string[]): Nested =>
        keys.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], from) as Nested; // as its path says
      // A carry has an entry for each row; its path goes on behind `carry`.
      found.set(
        path,
        Array.isArray(owner)
          ? owner.flatMap((row) => flat(pick(row, rest.slice(1))))
          : flat(pick(owner, rest)),
      );
      break;
    }
  }
  return found;
}
