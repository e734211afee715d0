/** One small Program per pass, on which the pass does what it is for. */
import {
  add,
  concat,
  convolve,
  exp,
  grad,
  matmul,
  mul,
  reverse,
  scan,
  sigmoid,
  slice,
  type Spec,
  spec,
  square,
  sum,
  tanh,
  type Tensor,
  zeros,
} from "../../mod.ts";

/** A function, and the passes that run on it before the one that is shown. */
export interface GoldenCase {
  /** The name of the pass in `src/passes/mod.ts`. */
  readonly pass: string;
  /** What can be seen. */
  readonly shows: string;
  readonly fn: (...args: Tensor[]) => unknown;
  readonly specs: readonly Spec[];
  /** Passes that run before it. */
  readonly after?: readonly string[];
}

type Step = (state: Tensor, input: Tensor) => readonly [Tensor, Tensor];

/** The last state of a fold over `x` from zeros. */
function lastState(step: Step, x: Tensor, units: number): Tensor {
  const [, state] = scan(step, zeros([x.shape[0], units]), x);
  return state;
}

const x = spec([2, 5, 3]);

export const goldenCases: readonly GoldenCase[] = [
  {
    pass: "unroll",
    shows: "a scan of one step becomes that step",
    fn: (w, x) => lastState((h, step) => [h, tanh(add(matmul(h, w), step))], x, 3),
    specs: [spec([3, 3]), spec([2, 1, 3])],
  },
  {
    pass: "narrow",
    shows: "a slice of a concatenation reads the part in which it lies",
    fn: (a, b) => slice(concat([mul(a, 2), mul(b, 3)], { axis: 1 }), { start: [0, 5], size: [2, 2] }),
    specs: [spec([2, 4]), spec([2, 6])],
  },
  {
    pass: "prune",
    shows: "outputs of a scan that nobody reads are not kept",
    fn: (w, x) => lastState((h, step) => [mul(h, 2), tanh(add(matmul(h, w), step))], x, 3),
    specs: [spec([3, 3]), x],
  },
  {
    pass: "simplify",
    shows: "equal computations are done once, and a reversal of a reversal is left out",
    fn: (a) => mul(tanh(a), tanh(reverse(reverse(a, 1), 1))),
    specs: [spec([2, 3])],
  },
  {
    pass: "hoist constants",
    shows: "what depends on weights alone leaves the loop",
    fn: (w, x) => lastState((h, step) => [h, tanh(add(mul(h, exp(w)), step))], x, 3),
    specs: [spec([3]), x],
  },
  {
    pass: "take products apart",
    shows:
      "a product of [input, state] becomes one with the input, which can leave the loop, and one with the state",
    fn: (w, x) => lastState((h, step) => [h, tanh(matmul(concat([step, h], { axis: 1 }), w))], x, 4),
    specs: [spec([7, 4]), x],
  },
  {
    pass: "regroup sums",
    shows: "of three terms, the two that are known before the loop are added first",
    fn: (u, b, x) => lastState((h, step) => [h, tanh(add(add(step, matmul(h, u)), b))], x, 3),
    specs: [spec([3, 3]), spec([3]), x],
  },
  {
    pass: "sink",
    shows: "the gradient of a weight, summed over time, becomes one product after the loop",
    fn: grad((w: Tensor, x: Tensor) =>
      sum(square(lastState((h, step) => [h, tanh(add(matmul(h, w), step))], x, 3)))
    ),
    specs: [spec([3, 3]), x],
  },
  {
    pass: "merge",
    shows: "two products of the state become one over concatenated columns",
    fn: (v, w, x) =>
      lastState((h, step) => [h, mul(sigmoid(matmul(h, v)), tanh(add(matmul(h, w), step)))], x, 3),
    specs: [spec([3, 3]), spec([3, 3]), x],
  },
  {
    pass: "merge sums",
    shows: "additions to all pieces of a merged product become one addition",
    fn: (v, w, b, c, x) =>
      lastState(
        (h, step) => [h, mul(sigmoid(add(matmul(h, v), b)), tanh(mul(step, add(matmul(h, w), c))))],
        x,
        3,
      ),
    specs: [spec([3, 3]), spec([3, 3]), spec([3]), spec([3]), x],
    after: ["merge"],
  },
  {
    pass: "hoist",
    shows: "the product of the input becomes one product over all steps",
    fn: (w, x) => lastState((h, step) => [h, tanh(add(h, matmul(step, w)))], x, 4),
    specs: [spec([3, 4]), x],
  },
  {
    pass: "by groups",
    shows: "a convolution of each channel by itself is a sum over its window",
    fn: (x, kernel) => convolve(x, kernel, { groups: 8 }),
    specs: [spec([2, 6, 8]), spec([2, 1, 8])],
  },
  {
    pass: "by groups",
    shows: "few groups are convolutions of their own",
    fn: (x, kernel) => convolve(x, kernel, { groups: 2 }),
    specs: [spec([2, 6, 16]), spec([2, 8, 10])],
  },
  {
    pass: "split",
    shows: "work on a tensor of which only pieces are read is done on the pieces",
    fn: (z) => {
      const gates = sigmoid(z);
      return mul(
        slice(gates, { start: [0, 0], size: [2, 4] }),
        slice(gates, { start: [0, 4], size: [2, 4] }),
      );
    },
    specs: [spec([2, 8])],
  },
  {
    pass: "compensate",
    shows: "a sum over many steps keeps what rounding loses",
    fn: (x) => {
      const [, total] = scan((sum: Tensor, step: Tensor) => [step, add(sum, step)], zeros([2, 3]), x);
      return total;
    },
    specs: [spec([2, 1000, 3])],
    after: ["prune"],
  },
];
