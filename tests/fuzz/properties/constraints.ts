/** Constraints: after an update weights are what their constraints make of those that the same update leaves without any. */
import * as cf from "@cellfold/cellfold";
import { constrainedNumbers, constraintsOf, unconstrained } from "../constraints.ts";
import { libraryData, modelOf, type Realized } from "../data.ts";
import { isTrained } from "../frozen.ts";
import { flat, nest, rounded } from "../interpreter/nested.ts";
import { objectiveLines, program } from "../program.ts";
import { Skipped } from "../skipped.ts";
import { literal } from "../source.ts";
import { type Context, Fault, firstApart, RATE, tolerancesOf, trainerFor } from "./context.ts";

/** The case without constraints. */
export function freely(realized: Realized): Realized {
  const one = { ...realized.one, model: unconstrained(realized.one.model) };
  return { ...realized, one, model: modelOf(one.model) };
}

/** Throws unless trained weights have their constraints after an update, and others are as they were. */
export async function constraints({ realized, device, trainer }: Context): Promise<void> {
  const { one, weights } = realized;
  const rules = constraintsOf(one.model);
  if (rules.size === 0) throw new Skipped("no weight has a constraint");
  if (one.draws) throw new Skipped("training draws random numbers");
  if (one.statefulBatch !== null && one.statefulBatch !== one.samples) {
    throw new Skipped("several stateful batches");
  }
  using free = trainerFor(freely(realized), device);
  const [before, after] = [await updated(realized, free), await updated(realized, trainer)];
  for (const { path, shape, values } of weights) {
    const rule = rules.get(path);
    if (rule === undefined) continue;
    const got = after.get(path) ?? [];
    const given = before.get(path) ?? [];
    if (!given.every(Number.isFinite)) throw new Skipped("the update leaves what float32 has");
    const trained = isTrained(one.model, path);
    const largest = Math.max(0, ...given.map(Math.abs));
    /** Two programs may round the update apart. */
    const near = () => given.map((value) => value + rounded(largest) - largest);
    const made = (numbers: readonly number[]) => constrainedNumbers(rule, nest(numbers, shape));
    const expected = trained ? made(given) : flat(values);
    const tolerance = trained ? tolerancesOf(one.seed, expected, () => made(near())) : expected.map(() => 0);
    const apart = firstApart(got, expected, tolerance);
    if (apart === undefined) continue;
    throw new Fault(
      `${path} at ${apart} is ${got[apart]} after its constraint, expected ${expected[apart]}`,
      program(realized, [
        ...objectiveLines(realized),
        `const trainer = cf.createTrainer(model, { ...objective, optimizer: cf.sgd({ learningRate: ${RATE} }) });`,
        `const after = await trainer.trainOnBatch({ variables }, data);`,
        `const weight = cf.getWeights(await cf.toHost(after.variables)).find(({ path }) => path === "${path}");`,
        `const got = [...cf.host(weight.tensor).data];`,
        `const expected = ${literal(expected)};`,
        `const tolerance = ${tolerance[apart]};`,
      ]),
    );
  }
}

/** The weights after an update, by path. */
async function updated(
  realized: Realized,
  trainer: cf.Trainer,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const after = await trainer.trainOnBatch({ variables: realized.variables }, libraryData(realized));
  return new Map(
    cf.getWeights(await cf.toHost(after.variables)).map((
      { path, tensor },
    ) => [path, [...cf.host(tensor).data]]),
  );
}
