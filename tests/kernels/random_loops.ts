/**
 * That a backend computes random layers of scans, and their gradients: sequences that are read in other orders, by
 * several scans, and once more after them; cells with sums, means and maxima of rows and of columns; and sums over time.
 */
import { exampleCount } from "../support/examples.ts";
import fc from "fast-check";
import {
  add,
  at,
  cast,
  concat,
  cumsum,
  div,
  exp,
  grad,
  type HostTensor,
  less,
  matmul,
  max,
  mean,
  mul,
  neg,
  reverse,
  scan,
  select,
  sigmoid,
  type Spec,
  spec,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  type Tensor,
  zeros,
} from "../../mod.ts";
import { sliceAxis } from "../../src/internal.ts";
import { mapTree } from "../../src/tree/tree.ts";
import { float64, numbersFrom } from "../operations/finite_differences.ts";
import type { Backend } from "../../kernels/backend.ts";
import { assertRight, narrow } from "./rounding.ts";

/** What programs compute with besides sequences. */
interface Weights {
  readonly matrix: Tensor;
  readonly gain: Tensor;
  readonly bias: Tensor;
}

const rows = { axes: 1, keepDims: true } as const;

function normalized(a: Tensor): Tensor {
  const centered = sub(a, mean(a, rows));
  return div(centered, sqrt(add(mean(square(centered), rows), 0.1)));
}

function widthOf(a: Tensor): number {
  return Number(a.shape[1]);
}

/** What a step computes of values `[batch, units]`. */
const operations = {
  add: (a, b) => mul(add(a, b), 0.5),
  sub,
  mul,
  neg,
  tanh,
  sigmoid,
  scaled: (a, _, { gain, bias }) => add(mul(a, gain), bias),
  product: (a, _, { matrix }) => matmul(a, matrix),
  biased: (a, b, { matrix }) => tanh(add(matmul(a, matrix), b)),
  normalized,
  normalizedAndScaled: (a, b, { gain, bias }) => add(add(mul(normalized(a), gain), bias), b),
  normalizedProduct: (a, _, { matrix, gain }) => mul(normalized(matmul(a, matrix)), gain),
  softmax: (a) => {
    const weights = exp(sub(a, max(a, rows)));
    return div(weights, sum(weights, rows));
  },
  lessMean: (a) => sub(a, mean(a, rows)),
  sumOfSquares: (a, b) => mul(b, tanh(sum(square(a), rows))),
  sumOfProducts: (a, b) => add(a, tanh(sum(mul(a, b), rows))),
  largest: (a, b) => sub(b, max(a, rows)),
  largestOfProducts: (a, b) => add(tanh(max(mul(a, b), rows)), a),
  lessMeanOfBatch: (a) => sub(a, mean(a, { axes: 0, keepDims: true })),
  sumOfBatch: (a, b) => mul(b, tanh(sum(a, { axes: 0, keepDims: true }))),
  largestOfBatch: (a, b) => sub(b, max(a, { axes: 0, keepDims: true })),
  lessMeanOfAll: (a) => sub(a, mean(a, { axes: [0, 1], keepDims: true })),
  firstRow: (a, b) => mul(b, sliceAxis(a, 0, 0, 1)),
  firstColumn: (a, b) => mul(b, sliceAxis(a, 1, 0, 1)),
  lastColumn: (a, b) => add(b, sliceAxis(a, 1, widthOf(a) - 1, 1)),
  turned: (a, b) => mul(reverse(a, 1), b),
  otherRows: (a, b) => add(reverse(a, 0), b),
  rotated: (a) => concat([sliceAxis(a, 1, 1, widthOf(a) - 1), sliceAxis(a, 1, 0, 1)], { axis: 1 }),
  halves: (a, b) => {
    const half = widthOf(a) >> 1;
    return concat([mul(sliceAxis(a, 1, 0, half), 0.5), tanh(sliceAxis(b, 1, half, widthOf(a) - half))], {
      axis: 1,
    });
  },
  bothAtOnce: (a, b) => {
    const both = concat([a, tanh(b)], { axis: 1 }), width = widthOf(a);
    const less = sub(both, mean(both, rows));
    return mul(sliceAxis(less, 1, 0, width), sliceAxis(less, 1, width, width));
  },
  runningSum: (a) => mul(cumsum(a, { axis: 1 }), 0.2),
  folded: (a, b, { matrix }) =>
    scan(
      (h: Tensor, x: Tensor) => {
        const next = tanh(add(matmul(h, matrix), sub(x, mean(x, rows))));
        return [mul(next, x), next];
      },
      a,
      stack([a, b, neg(a)], { axis: 1 }),
    )[1],
  foldedOutputs: (a, b) =>
    mean(
      scan((h: Tensor, x: Tensor) => [mul(h, x), tanh(add(h, normalized(x)))], a, stack([b, a], { axis: 1 }))[
        0
      ],
      { axes: 1 },
    ),
} satisfies Record<string, (a: Tensor, b: Tensor, weights: Weights) => Tensor>;
type Name = keyof typeof operations;
const names = Object.keys(operations) as Name[]; // the keys of a literal

/** How a scan reads a sequence `[batch, time, units]`. */
const readings = {
  asItIs: (x) => x,
  backwards: (x) => reverse(x, 1),
  columnsBackwards: (x) => reverse(x, 2),
  batchBackwards: (x) => reverse(x, 0),
  late: (x) => concat([sliceAxis(x, 1, 0, 0), x], { axis: 1 }),
  signs: (x) => mul(sub(mul(cast(less(x, 0), x.dtype), 2), 1), -1),
  half: (x) => mul(x, 0.5),
  tanh,
} satisfies Record<string, (x: Tensor) => Tensor>;
type Reading = keyof typeof readings;

/** Those that mix the rows of a batch, so that threads cannot divide them. */
const mixing: ReadonlySet<Name> = new Set([
  "lessMeanOfBatch",
  "sumOfBatch",
  "largestOfBatch",
  "lessMeanOfAll",
  "firstRow",
  "otherRows",
]);
const apart = names.filter((name) => !mixing.has(name));

const anyLayer = fc.oneof(
  { weight: 2, arbitrary: layerOf(apart) },
  { weight: 1, arbitrary: layerOf(names) },
);

/** A scan whose cell computes with these operations. */
function layerOf(names: readonly Name[]) {
  const step = fc.record({ name: fc.constantFrom(...names), a: fc.nat(40), b: fc.nat(40) });
  return fc.record({
    reads: fc.array(
      fc.record({
        of: fc.nat(9),
        as: fc.oneof(
          { weight: 3, arbitrary: fc.constant<Reading>("asItIs") },
          { weight: 2, arbitrary: fc.constantFrom<Reading>(...Object.keys(readings) as Reading[]) }, // of a literal
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    /** Of which values the next carries, sums over time and outputs are made. */
    carries: fc.array(fc.record({ of: fc.nat(40), isBounded: fc.boolean() }), { minLength: 1, maxLength: 2 }),
    sums: fc.array(fc.nat(40), { maxLength: 2 }),
    outputs: fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }),
    reverse: fc.boolean(),
    isMasked: fc.boolean(),
    maskedOutput: fc.constantFrom("previous", "zero"),
    checkpointEvery: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 3 }),
    signsOf: fc.option(fc.nat(9), { nil: undefined }),
  });
}
type RandomLayer = ReturnType<typeof layerOf> extends fc.Arbitrary<infer Layer> ? Layer : never;

const sizes = fc.record({
  batch: fc.constantFrom(1, 2, 3, 5, 9, 17),
  time: fc.constantFrom(0, 1, 2, 3, 5),
});

const anyProgram = fc.record({
  layers: fc.array(anyLayer, { minLength: 1, maxLength: 2 }),
  /** Sequences that are results. */
  results: fc.array(fc.nat(9), { maxLength: 2 }),
  kind: fc.oneof(
    { weight: 4, arbitrary: fc.constant("values" as const) },
    { weight: 4, arbitrary: fc.constant("gradients" as const) },
    { weight: 1, arbitrary: fc.constant("gradients of gradients" as const) },
  ),
  isOpen: fc.oneof({ weight: 2, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  units: fc.constantFrom(1, 2, 4, 7, 16, 19),
  calls: fc.array(sizes, { minLength: 1, maxLength: 2 }),
  /** Where an element of the first sequence is NaN, in some of the programs. */
  nan: fc.option(fc.nat(127), { nil: undefined, freq: 3 }),
  seed: fc.integer(),
});
type RandomProgram = typeof anyProgram extends fc.Arbitrary<infer Program> ? Program : never;

/** Results of a layer. */
interface LayerResults {
  readonly sequences: readonly Tensor[];
  readonly finals: readonly Tensor[];
}

function applyLayer(
  { reads, steps, carries, sums, outputs, signsOf, isMasked, checkpointEvery, ...order }: RandomLayer,
  sequences: readonly Tensor[],
  state: Tensor,
  weights: Weights,
): LayerResults {
  const given = reads.map(({ of, as }) => {
    const read: (x: Tensor) => Tensor = readings[as];
    return read(sequences[sequences.length - 1 - of % sequences.length]);
  });
  const signs = signsOf === undefined ? [] : [less(sequences[signsOf % sequences.length], 0)];
  const isOpen = typeof state.shape[0] !== "number";
  const options = { ...order, ...(isOpen ? {} : { checkpointEvery }) }; // checkpoints need a number of steps
  const zero = zeros(state.shape, { dtype: state.dtype });
  const first = { carries: carries.map((_, index) => mul(state, 1 - index)), sums: sums.map(() => zero) };
  const [made, last] = scan(
    (
      before: typeof first,
      inputs: { readonly given: readonly Tensor[]; readonly signs: readonly Tensor[] },
    ) => {
      const values = [...before.carries, ...inputs.given];
      for (const { name, a, b } of steps) {
        // Mostly of late values, so that cells are deep, and now and then of an early one.
        const operand = (index: number) =>
          index % 3 === 0 ? values[index % values.length] : values[values.length - 1 - index % values.length];
        const apply: (a: Tensor, b: Tensor, weights: Weights) => Tensor = operations[name];
        values.push(apply(operand(a), operand(b), weights));
      }
      for (const sign of inputs.signs) {
        values.push(select(sign, values[values.length - 1], values[0]));
      }
      const value = (index: number) => values[values.length - 1 - index % values.length];
      return [
        outputs.map((of) => tanh(value(of))),
        {
          carries: carries.map(({ of, isBounded }) => isBounded ? tanh(value(of)) : sigmoid(value(of))),
          sums: before.sums.map((total, index) => add(total, tanh(value(sums[index])))),
        },
      ];
    },
    first,
    { given, signs },
    isMasked ? { ...options, mask: less(at(sequences[0], 0, { axis: 2 }), 0.4) } : options,
  );
  return {
    sequences: made,
    finals: [...last.carries, ...last.sums.map((total) => sum(total, { axes: 0 }))],
  };
}

function computed(
  { layers, results, kind }: RandomProgram,
): (x: Tensor, y: Tensor, state: Tensor, weights: Weights) => unknown {
  const run = (x: Tensor, y: Tensor, state: Tensor, weights: Weights) => {
    let sequences = [x, y, tanh(x), mul(y, x)];
    const finals: Tensor[] = [];
    for (const each of layers) {
      const made = applyLayer(each, sequences, state, weights);
      sequences = [...sequences, ...made.sequences];
      finals.push(...made.finals);
    }
    return [
      sequences[sequences.length - 1],
      ...results.map((of) => sequences[sequences.length - 1 - of % sequences.length]),
      ...finals,
    ];
  };
  if (kind === "values") return run;
  const loss = (given: readonly [Tensor, Tensor, Tensor, Weights]) =>
    run(...given).map((each) => sum(mul(each, add(each, 0.3)))).reduce((a, b) => add(a, b));
  if (kind === "gradients") return (...given) => grad(loss)(given);
  return (...given) =>
    grad((weights: Weights) => {
      const [dx, , dstate, { matrix }] = grad(loss)([given[0], given[1], given[2], weights]);
      return [dx, dstate, matrix].map((each) => sum(square(each))).reduce((a, b) => add(a, b));
    })(given[3]);
}

/** The test that random layers of scans are right on these backends, which the name of the test begins with. */
export function testRandomLoops(
  name: string,
  backends: readonly Backend[],
  { ignore = false, runs = exampleCount(100) }: { readonly ignore?: boolean; readonly runs?: number } = {},
): void {
  Deno.test({
    name: `on ${name}, random layers of scans and their gradients are right`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () =>
      fc.assert(
        fc.asyncProperty(fc.constantFrom(...backends), anyProgram, (backend, program) =>
          checkLoops(backend, program)),
        { numRuns: runs },
      ),
  });
}

/** Fails unless a program is right on a backend. */
async function checkLoops(backend: Backend, program: RandomProgram): Promise<void> {
  const { units, seed, isOpen, calls, nan } = program;
  const callOf = ({ batch, time }: { batch: number; time: number }, index: number) => {
    const next = numbersFrom(seed + index);
    const random = (shape: number[]) =>
      float64(Array.from({ length: shape.reduce((a, b) => a * b) }, next), shape);
    const scale = 1 / Math.sqrt(units);
    const weights: Weights = {
      matrix: mul(random([units, units]), scale),
      gain: random([units]),
      bias: random([units]),
    };
    return narrow([
      random([batch, time, units]),
      random([batch, time, units]),
      random([batch, units]),
      weights,
    ]) as [Tensor, Tensor, Tensor, Weights];
  };
  const all = (isOpen ? calls : calls.slice(0, 1)).map(callOf);
  if (nan !== undefined) {
    for (const [{ data }] of all as unknown as readonly (readonly [HostTensor])[]) { // made just above
      if (data.length > 0) data[nan % data.length] = NaN;
    }
  }
  const [[x, y, state, weights]] = all;
  const specOf = ({ shape, dtype }: Spec) => spec(shape, dtype);
  const specs = isOpen
    ? [
      spec(["batch", "time", units]),
      spec(["batch", "time", units]),
      spec(["batch", units]),
      mapTree(weights, specOf),
    ]
    : [...[x, y, state].map(specOf), mapTree(weights, specOf)];
  await assertRight(backend, computed(program), specs, all, {
    unoptimized: !isOpen && program.kind === "values",
  });
}
