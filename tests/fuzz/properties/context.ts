/** What properties share: the steps compiled once per case, and how numbers are compared. */
import * as cf from "@cellfold/cellfold";
import { type Inputs, interpret, placesOf, type Realized } from "../data.ts";
import { countsAt } from "../interpreter/counts.ts";
import { at, fill, inexactly, nest, type Nested, shapeOf } from "../interpreter/nested.ts";
import type { Value } from "../interpreter/types.ts";
import { randomFrom } from "../random.ts";
import { Skipped } from "../skipped.ts";

/** Where the library is run. */
export type Device = "reference" | "wasm" | "webgpu" | { readonly name: "wasm"; readonly threads: number };

/** A property that does not hold. */
export class Fault extends Error {
  override readonly name = "Fault";
  constructor(message: string, readonly program: string) {
    super(message);
  }
}

/** The learning rate that makes a weight's change its gradient, which the weight itself then hardly rounds. */
export const RATE = 1024;

/** What the properties of one case work with. */
export interface Context {
  readonly realized: Realized;
  readonly device: Device;
  /** Predict, evaluate and update on the device. */
  readonly trainer: cf.Trainer;
}

/** A trainer for a case, to be disposed of. */
export function trainerFor(realized: Realized, device: Device, model = realized.model): cf.Trainer {
  return cf.createTrainer(model, {
    ...realized.objective,
    optimizer: cf.sgd({ learningRate: RATE }),
    device: device as cf.Device,
  });
}

/** The library's outputs by place and sample. */
export async function predicted(
  { realized: { one, variables }, trainer }: Pick<Context, "realized" | "trainer">,
  x: cf.Tree<cf.Tensor>,
  batchSize?: number,
  given: cf.Variables = variables,
): Promise<Nested[][]> {
  const size = one.statefulBatch ?? batchSize;
  const output = await cf.predictWith(trainer, given, x, size ? { batchSize: size } : {});
  return byPlace(one, output);
}

/** The leaves of the library's output by place and sample. */
export function byPlace(one: Realized["one"], output: cf.Tree<cf.Tensor>): Nested[][] {
  const leaves = cf.treeLeaves<cf.HostTensor>(output);
  const found: Nested[][] = [];
  placesOf(one.outputTree).forEach((place, leaf) => {
    const { data, shape } = leaves[leaf];
    found[place] = nest(data, shape) as Nested[]; // the first axis is the samples
  });
  return found;
}

/** Values of a head that count, in order, with where they are. */
export function counted(
  outputs: readonly Value[],
  values: readonly Nested[],
): { readonly values: number[]; readonly places: string[] } {
  const found: number[] = [];
  const places: string[] = [];
  outputs.forEach(({ x, counts }, sample) => {
    const shape = shapeOf(x);
    fill(shape, (index) => {
      // A mask speaks of steps; a value without steps always counts.
      if (countsAt(counts, index.slice(0, -1))) {
        found.push(at(values[sample], index));
        places.push(`[${[sample, ...index].join(", ")}]`);
      }
      return 0;
    });
  });
  return { values: found, places };
}

/** Runs of the interpreter with rounding errors: as many as tell the size of an error, for a sum of ten or more. */
const INEXACT_RUNS = 3;

/**
 * How far numbers may be from the exact ones: four times what the inexact runs are off by (the error of three runs
 * with errors of 2^-21 is a fair sample of its size), and 2^-20 of the largest number beside it, for errors that the
 * inexact runs happen not to make (a sum in another order).
 */
export function tolerancesOf(
  seed: number,
  exact: readonly number[],
  compute: () => readonly number[],
): readonly number[] {
  const off = exact.map(() => 0);
  for (let run = 0; run < INEXACT_RUNS; run++) {
    const values = inexactly(randomFrom(seed).fork(`inexact ${run}`), compute);
    values.forEach((value, i) => {
      const error = Math.abs(value - exact[i]);
      if (Number.isFinite(error)) off[i] = Math.max(off[i], error);
      else if (!Object.is(value, exact[i])) off[i] = Infinity;
    });
  }
  const most = (values: readonly number[]) => Math.max(0, ...values.filter(Number.isFinite));
  const largest = most(exact.map(Math.abs)), typical = most(off);
  return off.map((own) => own === Infinity ? Infinity : 4 * typical + 2 ** -20 * largest);
}

/**
 * How far a loss or metric may be from the exact one. A crossentropy adds to 1 before it takes the logarithm, and loses
 * half a unit of 1 by it.
 */
export function toleranceOfLog(seed: number, exact: number, compute: () => number): number {
  return tolerancesOf(seed, [exact], () => [compute()])[0] + 2 ** -22;
}

/** The first number that is not near enough; undefined where all are. */
export function firstApart(
  got: readonly number[],
  expected: readonly number[],
  tolerance: readonly number[],
): number | undefined {
  const apart = expected.findIndex((value, i) =>
    !(Object.is(value, got[i]) || Math.abs(value - got[i]) <= tolerance[i])
  );
  return apart < 0 ? undefined : apart;
}

/** Outputs of the interpreter by place and sample, and the same numbers with errors. */
export function exactOutputs({ realized }: Pick<Context, "realized">, inputs: Inputs = realized.inputs) {
  const { one, weights } = realized;
  const run = (): readonly (readonly Value[])[] => {
    const outputs = interpret(realized, inputs, weights, { training: false }).batches.flat();
    return one.heads.map((_, place) => outputs.map((leaves) => leaves[place]));
  };
  const outputs = run();
  const numbers = (outputs: readonly (readonly Value[])[]) =>
    outputs.map((values) => counted(values, values.map(({ x }) => x)));
  const exact = numbers(outputs);
  if (exact.some(({ values }) => values.some((value) => !(Math.abs(value) < 1e6)))) {
    throw new Skipped("the numbers leave what float32 has");
  }
  const lengths = exact.map(({ values }) => values.length);
  let from = 0;
  const all = exact.flatMap(({ values }) => values);
  const tolerances = one.heads.map((_, place) => {
    const start = from;
    from += lengths[place];
    return tolerancesOf(one.seed, all.slice(start, from), () => numbers(run())[place].values);
  });
  return { outputs, exact, tolerances };
}
