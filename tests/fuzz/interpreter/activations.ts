/** The activations of Keras 3, from their definitions, on the numbers of the last axis. */
import { mapVectors, type Nested, rounded, sum } from "./nested.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** As libraries define it, with what is added to 1 rounded: far below 0 little is left of it. */
export const softplus = (x: number) => Math.max(x, 0) + Math.log(rounded(1 + Math.exp(-Math.abs(x))));
const elu = (x: number) => x >= 0 ? x : Math.expm1(x);
const clip = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x));
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** The standard normal distribution function times 2, less 1, by its Taylor series: exact to 1e-15 for |x| < 5. */
export function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  // erf x = 2/√π · e^(-x²) · Σ 2^n x^(2n+1) / (2n+1)!!: all terms have one sign.
  let term = x, total = x;
  for (let n = 1; n < 200; n++) {
    term *= 2 * x * x / (2 * n + 1);
    total += term;
    if (Math.abs(term) < 1e-18 * Math.abs(total)) break;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * total;
}

const byElement: { readonly [name: string]: (x: number) => number } = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  relu6: (x) => clip(x, 0, 6),
  leakyRelu: (x) => x > 0 ? x : 0.2 * x,
  sigmoid,
  hardSigmoid: (x) => clip(x + 3, 0, 6) / 6,
  hardSigmoidKeras2: (x) => clip(0.2 * x + 0.5, 0, 1),
  hardSilu: (x) => x * clip(x + 3, 0, 6) / 6,
  hardSwish: (x) => x * clip(x + 3, 0, 6) / 6,
  tanh: Math.tanh,
  hardTanh: (x) => clip(x, -1, 1),
  elu,
  selu: (x) => SELU_SCALE * (x >= 0 ? x : SELU_ALPHA * Math.expm1(x)),
  celu: elu,
  gelu: (x) => x / 2 * rounded(1 + rounded(erf(x / Math.SQRT2))), // far below 0 nothing is left but what was rounded
  silu: (x) => x * sigmoid(x),
  swish: (x) => x * sigmoid(x),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  exponential: Math.exp,
  mish: (x) => x * Math.tanh(softplus(x)),
  logSigmoid: (x) => -softplus(-x),
  squareplus: (x) => x >= 0 ? (x + Math.sqrt(x * x + 4)) / 2 : 2 / (Math.sqrt(x * x + 4) - x),
  softShrink: (x) => x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0,
  hardShrink: (x) => Math.abs(x) > 0.5 ? x : 0,
  tanhShrink: (x) => x - rounded(Math.tanh(x)), // near 0 nothing is left but what was rounded
  sparsePlus: (x) => x <= -1 ? 0 : x < 1 ? (x + 1) ** 2 / 4 : x,
  sparseSigmoid: (x) => clip((x + 1) / 2, 0, 1),
};

export function logSoftmax(v: readonly number[]): number[] {
  const most = Math.max(...v);
  const total = Math.log(sum(v.map((x) => Math.exp(x - most)))); // close to 1 little is left of it
  return v.map((x) => rounded(rounded(x - most) - rounded(total)));
}

/** The projection onto the probabilities (Martins and Astudillo, 2016, algorithm 1). */
function sparsemax(v: readonly number[]): number[] {
  const sorted = [...v].sort((a, b) => b - a);
  let total = 0, threshold = 0;
  sorted.forEach((x, index) => {
    total += x;
    if (1 + (index + 1) * x > total) threshold = (total - 1) / (index + 1);
  });
  return v.map((x) => Math.max(0, x - threshold));
}

const byVector: { readonly [name: string]: (v: readonly number[]) => number[] } = {
  softmax: (v) => logSoftmax(v).map(Math.exp),
  logSoftmax,
  sparsemax,
  glu: (v) => {
    const half = v.length / 2;
    return v.slice(0, half).map((x, i) => x * sigmoid(v[half + i]));
  },
};

/** The activation of a name, or none. */
export function activate(name: unknown, x: Nested): Nested {
  if (name === undefined || name === null) return x;
  if (typeof name !== "string") throw new TypeError(`no activation: ${String(name)}`);
  const ofVector = byVector[name];
  const ofElement = byElement[name];
  if (!ofVector && !ofElement) throw new RangeError(`the interpreter has no activation ${name}`);
  return mapVectors(x, (v) => (ofVector ? ofVector(v) : v.map(ofElement)).map(rounded));
}

/** The names that the interpreter knows. */
export const knownActivations: readonly string[] = [...Object.keys(byElement), ...Object.keys(byVector)];
