/**
 * Functions of tensors whose batch and time are open, and the property that one executable gives for all sizes
 * what a fresh one gives for each, and what the reference gives.
 */
import { assert, assertEquals } from "@std/assert";
import type { Backend } from "../../kernels/backend.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { runPasses } from "../../src/passes/mod.ts";
import type { Program } from "../../src/program/types.ts";
import {
  add,
  argmax,
  bernoulli,
  broadcastTo,
  cast,
  concat,
  cumsum,
  equal,
  exp,
  expandDims,
  gather,
  gru,
  host,
  type HostTensor,
  init,
  iota,
  key,
  type Layer,
  less,
  lstm,
  matmul,
  max,
  mean,
  mul,
  normal,
  pad,
  reshape,
  reverse,
  scan,
  type ScanOptions,
  scatterAdd,
  select,
  slice,
  softmax,
  spec,
  stack,
  sum,
  tanh,
  type Tensor,
  trace,
  transpose,
  type Tree,
  treeLeaves,
  uniform,
  valueAndGrad,
  variance,
} from "../../mod.ts";
import { multiplyDims } from "../../src/tensor/dims.ts";

const UNITS = 5;

/** A function of `[batch, time, UNITS]`, lengths `[batch]`, and weights `[UNITS, UNITS]`. */
type Sized = (x: Tensor, lengths: Tensor, w: Tensor) => unknown;

/** A fold of the library's own kind, from zeros. */
function fold(x: Tensor, w: Tensor, options: ScanOptions<Tensor> = {}) {
  const first = mul(sum(x, { axes: [1] }), 0.1);
  return scan(
    (h: Tensor, x: Tensor) => {
      const next = tanh(add(matmul(h, w), x));
      return [next, next];
    },
    first,
    x,
    options,
  );
}

function gradientsOf(layer: Layer<Tensor>): Sized {
  const { params, state } = init(layer, key(3), spec([1, 1, UNITS]));
  return (x, lengths) => {
    const steps = broadcastTo(iota([x.shape[1]]), [x.shape[0], x.shape[1]]);
    const mask = less(steps, expandDims(lengths, 1));
    const loss = (params: Tree<Tensor>, x: Tensor) => {
      const { output } = layer.apply({ params, state }, x, { training: false, mask });
      return mean(mul(output, output));
    };
    return valueAndGrad(loss)(params, x);
  };
}

/** The functions by name. */
export const sizedFunctions: Readonly<Record<string, Sized>> = {
  elementwise: (x) => [tanh(add(mul(x, x), 1)), equal(x, x)],
  "along other axes": (x) => [
    exp(transpose(x, { permutation: [1, 0, 2] })),
    add(transpose(x, { permutation: [2, 1, 0] }), 1),
    reverse(x, 1),
    add(reverse(transpose(x, { permutation: [0, 2, 1] }), 2), 1),
  ],
  "sums and maxima": (x) => [
    [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]].map((axes) => [sum(x, { axes }), max(x, { axes })]),
    sum(transpose(x, { permutation: [2, 1, 0] }), { axes: [1] }),
    sum(slice(x, { start: [0, 0, 1], size: [x.shape[0], x.shape[1], 1] }), { axes: [1, 2] }),
    sum(cast(less(x, 0), "int32"), { axes: [1] }),
  ],
  "means, which know the number of their terms": (
    x,
  ) => [mean(x), variance(x, { axes: [1] }), mean(x, { axes: [0] })],
  "running sums": (x) => [0, 1, 2].map((axis) => [cumsum(x, { axis }), cumsum(x, { axis, reverse: true })]),
  "the largest": (x) => [argmax(x, { axis: 0 }), argmax(x, { axis: 1 }), argmax(x, { axis: 2 })],
  "parts and wholes": (x) => [
    concat([x, mul(x, 2), x], { axis: 1 }),
    stack([x, x], { axis: 0 }),
    slice(x, { start: [0, 0, 0], size: [x.shape[0], 1, UNITS] }),
    reshape(x, [multiplyDims(x.shape[0], x.shape[1]), UNITS]),
    reshape(transpose(x, { permutation: [1, 0, 2] }), [multiplyDims(x.shape[0], x.shape[1]), UNITS]),
    pad(x, { low: [0, 1, 0], high: [1, 0, 2], interior: [0, 2, 0] }),
  ],
  "by index": (x, lengths) => [
    gather(transpose(x, { permutation: [1, 0, 2] }), lengths),
    scatterAdd(lengths, sum(x, { axes: [1] }), { rows: x.shape[1] }),
  ],
  attention: (x) => {
    const scores = matmul(x, transpose(x, { permutation: [0, 2, 1] }));
    return matmul(softmax(scores), x);
  },
  "products of any rows": (
    x,
    _,
    w,
  ) => [matmul(x, broadcastTo(w, [x.shape[0], UNITS, UNITS])), tanh(matmul(sum(x, { axes: [1] }), w))],
  "a fold": (x, _, w) => [fold(x, w), fold(x, w, { reverse: true })],
  "a fold by lengths": (x, lengths, w) => fold(x, w, { lengths }),
  "the gradient of a fold": (x, _, w) =>
    valueAndGrad((w: Tensor, x: Tensor) => sum(mul(fold(x, w)[0] as Tensor, 0.5)))(w, x),
  "an LSTM's gradients": gradientsOf(lstm({ units: 4, returnSequences: true })),
  "a GRU's gradients": gradientsOf(gru({ units: 9 })),
  "random numbers": (x) => [
    uniform(key(1), x.shape),
    normal(key(2), [x.shape[0], x.shape[1]]),
    select(bernoulli(key(4), x.shape, { probability: 0.5 }), x, 0),
  ],
  "numbers of steps": (x) => iota([x.shape[1], 3], { axis: 0 }),
};

/** The Program of a function, for open sizes. */
function programOf(fn: Sized): Program {
  const { program } = trace(
    (x: Tensor, lengths: Tensor, w: Tensor) => treeLeaves(fn(x, lengths, w) as Tensor),
    spec(["batch", "time", UNITS]),
    spec(["batch"], "int32"),
    spec([UNITS, UNITS]),
  );
  return runPasses(program);
}

function inputsFor(batch: number, time: number, seed: number): HostTensor[] {
  const drawn = uniform(key(seed), [batch], { min: 0, max: time + 1 });
  return [
    host(normal(key(seed + 1), [batch, time, UNITS])),
    host(cast(drawn, "int32")),
    host(normal(key(seed + 2), [UNITS, UNITS], { stddev: 0.4 })),
  ];
}

/** Sizes in a fixed random order, the least ones among them. */
export function sizesFor(seed: number, count: number): (readonly [number, number])[] {
  const draw = host(uniform(key(seed), [count, 2])).data;
  return Array.from(
    { length: count },
    (_, i) =>
      i === 3
        ? [1, 1]
        : i === 5
        ? [2, 1]
        : i === 7
        ? [1, 7]
        : [1 + Math.floor(draw[2 * i] * 9), 1 + Math.floor(draw[2 * i + 1] ** 2 * 70)],
  );
}

/** Runs the property for one function; with `sameBits`, fresh executables must give the same bits. */
export async function checkSizes(
  backend: Backend,
  fn: Sized,
  sizes: readonly (readonly [number, number])[],
  { sameBits, tolerance = 1e-4 }: { readonly sameBits: boolean; readonly tolerance?: number },
): Promise<void> {
  const program = programOf(fn);
  const options = { donate: program.inputs.map(() => false), keep: program.outputs.map(() => false) };
  using open = await backend.compile(program, options);
  using expected = await reference.compile(program, options);
  for (const [index, [batch, time]] of sizes.entries()) {
    const inputs = inputsFor(batch, time, 10 * index);
    const got = (await open.run(inputs)).map(host);
    const want = (await expected.run(inputs)).map(host);
    using fresh = await backend.compile(program, options);
    const again = (await fresh.run(inputs)).map(host);
    want.forEach((tensor, output) => {
      const what = `output ${output} for batch ${batch} and time ${time}`;
      assertEquals(got[output].shape, tensor.shape, what);
      const scale = Array.from<number>(tensor.data).reduce(
        (most, value) => Math.max(most, Math.abs(value)),
        1,
      );
      got[output].data.forEach((value: number, at: number) => {
        const error = Math.abs(value - tensor.data[at]);
        assert(
          error <= tolerance * scale,
          `${what}: element ${at} is ${value}, the reference gives ${tensor.data[at]}`,
        );
        const other = again[output].data[at];
        assert(
          sameBits ? Object.is(value, other) : Math.abs(value - other) <= tolerance * scale,
          `${what}: element ${at} is ${value}, of a fresh executable ${other}`,
        );
      });
    });
  }
}
