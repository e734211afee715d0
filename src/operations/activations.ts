/**
 * The activations of Keras 3, and the one that Keras 2 defined otherwise, by name and as functions of a tensor. Each keeps shape and dtype (`glu` halves
 * the last axis) and is written so that neither its value nor its derivative overflows if the true one is
 * finite: the branch of a `select` that is not taken gets a harmless argument, since 0 · ∞ in its derivative
 * would be NaN.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { checkTensor, printSpec } from "../tensor/tensor.ts";
import { divideDims } from "../tensor/dims.ts";
import { describeValue } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import {
  abs,
  add,
  cast,
  clip,
  div,
  erf,
  exp,
  expm1,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log1p,
  maximum,
  minimum,
  mul,
  neg,
  select,
  sigmoid,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
} from "./elementwise.ts";
import { LARGEST, logSoftmax, max, softmax } from "./reduction.ts";
import { expandDims, split, sum } from "./structure.ts";

/** A function of a tensor that a layer applies to its output or a cell to its gates. */
export type Activation = (x: Tensor) => Tensor;

/** `x` itself. */
export const linear: Activation = (x): Tensor => {
  checkTensor("linear", x);
  return x;
};

/** `max(x, 0)`; the derivative at 0 is 0 (a tie of `maximum` belongs to its first operand). NaN stays NaN. */
export const relu: Activation = (x): Tensor => maximum(0, x);

/** `min(max(x, 0), 6)`; the derivative at 0 and 6 is 0. */
export const relu6: Activation = (x): Tensor => minimum(6, relu(x));

/**
 * Beyond this value the functions here equal their limits, to the last bit of float64: `e^-FAR` is 0, and
 * `FAR² + 4` is `FAR²` for `squareplus`.
 */
const FAR = 1e9;

/**
 * `far(x)` above `FAR`, else `near` of `x` limited to `±FAR`, so that no `∞ - ∞` and no `0 · ∞` arises on
 * either side.
 */
function nearAndFar(x: Tensor, near: Activation, far: Activation): Tensor {
  return select(greater(x, FAR), far(x), near(clip(x, { min: -FAR, max: FAR })));
}

/** `x · gate(x)` for a gate that goes to 0 faster than x goes to -∞, and equally fast to 1. */
function gated(x: Tensor, gate: Activation): Tensor {
  return nearAndFar(x, (near) => mul(near, gate(near)), linear);
}

/** `x` above 0, else `0.2 · x`. */
export const leakyRelu: Activation = (x): Tensor => select(greater(x, 0), x, mul(x, 0.2));

/** `relu6(x + 3) / 6`. */
export const hardSigmoid: Activation = (x): Tensor => div(relu6(add(x, 3)), 6);

/**
 * `0.2 · x + 0.5` limited to 0…1: what Keras 1 and 2, TensorFlow.js and ONNX's default call the hard sigmoid
 * (Courbariaux et al., 2015). Keras 3 gave that name to {@linkcode hardSigmoid}, whose slope is 1/6.
 */
export const hardSigmoidKeras2: Activation = (x): Tensor => clip(add(mul(x, 0.2), 0.5), { min: 0, max: 1 });

/** `x · relu6(x + 3) / 6` (Howard et al., 2019); Keras also calls it `hardSwish`. */
export const hardSilu: Activation = (x): Tensor => gated(x, hardSigmoid);

/** `x` limited to -1…1. */
export const hardTanh: Activation = (x): Tensor => clip(x, { min: -1, max: 1 });

/** `x` for `x ≥ 0`, else `e^x - 1` (Clevert et al., 2016, with α = 1). */
export const elu: Activation = (x): Tensor => select(greaterEqual(x, 0), x, expm1(minimum(x, 0)));

/** `scale · x` for `x ≥ 0`, else `scale · α · (e^x - 1)` (Klambauer et al., 2017). */
export const selu: Activation = (x): Tensor => {
  const alpha = 1.6732632423543772;
  const scale = 1.0507009873554805;
  return select(greaterEqual(x, 0), mul(x, scale), mul(expm1(minimum(x, 0)), scale * alpha));
};

/** `max(x, 0) + α · (e^(min(x, 0)/α) - 1)` (Barron, 2017) with α = 1, which equals `elu`. */
export const celu: Activation = (x): Tensor => elu(x);

/** `x · Φ(x) = x/2 · (1 + erf(x/√2))`, exact (Hendrycks and Gimpel, 2016). */
export const gelu: Activation = (x): Tensor =>
  gated(x, (near) => mul(add(erf(mul(near, Math.SQRT1_2)), 1), 0.5));

/** `x · sigmoid(x)` (Ramachandran et al., 2017); Keras also calls it `swish`. */
export const silu: Activation = (x): Tensor => gated(x, sigmoid);

/**
 * `log(1 + e^x)`, as `(x + |x|)/2 + log(1 + e^-|x|)`: no overflow, and since the derivative of `|x|` at 0 is
 * 0, that of softplus at 0 is correctly 1/2 (with `max(x, 0)` it would not be).
 */
export const softplus: Activation = (x): Tensor =>
  nearAndFar(x, (near) => {
    const size = abs(near);
    return add(add(mul(near, 0.5), mul(size, 0.5)), log1p(exp(neg(size))));
  }, linear);

/** `x / (1 + |x|)`; ±1 at ±∞. */
export const softsign: Activation = (x): Tensor => {
  const finite = clip(x, { min: -LARGEST, max: LARGEST });
  return div(finite, add(abs(finite), 1));
};

/** `e^x`. */
export const exponential: Activation = (x): Tensor => exp(x);

/** `x · tanh(softplus(x))` (Misra, 2019). */
export const mish: Activation = (x): Tensor => gated(x, (near) => tanh(softplus(near)));

/** `log(sigmoid(x)) = -softplus(-x)`. */
export const logSigmoid: Activation = (x): Tensor => neg(softplus(neg(x)));

/**
 * `a · sigmoid(b)` where `a` and `b` are the halves of the last axis (Dauphin et al., 2017).
 *
 * @throws RangeError if the last axis has an odd size.
 */
export const glu: Activation = (x): Tensor => {
  checkTensor("glu", x);
  if (x.shape.length === 0 || divideDims(x.shape[x.shape.length - 1], 2) === undefined) {
    throw new RangeError(`Cannot compute glu of ${printSpec(x)}: expected an even size of the last axis`);
  }
  const [value, gate] = split(x, 2);
  return mul(value, sigmoid(gate));
};

/**
 * `(x + √(x² + 4)) / 2` (Barron, 2021); below 0 in the form `2 / (√(x² + 4) - x)`, which does not cancel, and
 * with `|x|` for the root when 4 is negligible next to `x²`, which might overflow.
 */
export const squareplus: Activation = (x): Tensor => {
  const size = abs(x);
  const root = select(greater(size, FAR), size, sqrt(add(square(clip(x, { min: -FAR, max: FAR })), 4)));
  return select(less(x, 0), div(2, sub(root, minimum(x, 0))), add(mul(maximum(x, 0), 0.5), mul(root, 0.5)));
};

/** `x` moved by 0.5 toward 0, and 0 within that distance. */
export const softShrink: Activation = (x): Tensor => sub(x, clip(x, { min: -0.5, max: 0.5 }));

/** `x` where `|x|` is above 0.5, else 0; NaN stays NaN. */
export const hardShrink: Activation = (x): Tensor => select(lessEqual(abs(x), 0.5), 0, x);

/** `x - tanh(x)`. */
export const tanhShrink: Activation = (x): Tensor => sub(x, tanh(x));

/** 0 up to -1, `(x + 1)²/4` between, `x` from 1. */
export const sparsePlus: Activation = (x): Tensor =>
  select(greaterEqual(x, 1), x, mul(square(add(clip(x, { min: -1, max: 1 }), 1)), 0.25));

/** `(x + 1)/2` limited to 0…1. */
export const sparseSigmoid: Activation = (x): Tensor => minimum(1, maximum(0, mul(add(x, 1), 0.5)));

/**
 * The Euclidean projection of the last axis onto the probabilities (Martins and Astudillo, 2016).
 *
 * Element i is in the support if `1 + k·xᵢ > Σ xⱼ` over the `k` elements that are not below it. Comparing all
 * pairs needs no sort but `n²` values for an axis of size n: it is meant for tens or hundreds of classes.
 * Only elements less than 1 below the largest can be in the support, so the others are raised to that bound,
 * and no sum loses precision.
 */
export const sparsemax: Activation = (x): Tensor => {
  const below = sub(x, stopGradient(max(x, { axes: -1, keepDims: true })));
  const near = stopGradient(maximum(below, -1));
  const notBelow = cast(greaterEqual(expandDims(near, -2), expandDims(near, -1)), x.dtype);
  const count = sum(notBelow, { axes: -1 });
  const total = sum(mul(notBelow, expandDims(near, -2)), { axes: -1 });
  const inSupport = greater(add(mul(count, near), 1), total);
  const excess = sub(sum(select(inSupport, below, 0), { axes: -1, keepDims: true }), 1);
  const size = sum(cast(inSupport, x.dtype), { axes: -1, keepDims: true });
  return maximum(0, sub(below, div(excess, size)));
};

/** The name of an activation. */
export type ActivationName =
  | "linear"
  | "relu"
  | "relu6"
  | "leakyRelu"
  | "sigmoid"
  | "hardSigmoid"
  | "hardSigmoidKeras2"
  | "hardSilu"
  | "hardSwish"
  | "tanh"
  | "hardTanh"
  | "softmax"
  | "logSoftmax"
  | "elu"
  | "selu"
  | "celu"
  | "gelu"
  | "silu"
  | "swish"
  | "softplus"
  | "softsign"
  | "exponential"
  | "mish"
  | "logSigmoid"
  | "glu"
  | "squareplus"
  | "softShrink"
  | "hardShrink"
  | "tanhShrink"
  | "sparsePlus"
  | "sparseSigmoid"
  | "sparsemax";

/** Every named activation. */
const named: Record<ActivationName, Activation> = {
  linear,
  relu,
  relu6,
  leakyRelu,
  sigmoid: sigmoid as Activation, // its operand may also be a number
  hardSigmoid,
  hardSigmoidKeras2,
  hardSilu,
  hardSwish: hardSilu,
  tanh: tanh as Activation, // its operand may also be a number
  hardTanh,
  softmax: softmax as Activation, // without the axis
  logSoftmax: ((x) => logSoftmax(x)) as Activation, // without the axis
  elu,
  selu,
  celu,
  gelu,
  silu,
  swish: silu,
  softplus,
  softsign,
  exponential,
  mish,
  logSigmoid,
  glu,
  squareplus,
  softShrink,
  hardShrink,
  tanhShrink,
  sparsePlus,
  sparseSigmoid,
  sparsemax,
};

/** All names of activations. */
export const activationNames: readonly ActivationName[] = Object.keys(named) as ActivationName[]; // keys of `named`

/** An activation as a layer accepts it: a name, a function, or nothing for `linear`. */
export type ActivationLike = ActivationName | Activation | null | undefined;

/**
 * The function for an activation.
 *
 * @param activation A name, any function of a tensor, or null or undefined for `linear`.
 * @throws RangeError for an unknown name, with the nearest known one.
 * @throws TypeError for anything else.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested } from "@cellfold/cellfold";
 * import { resolveActivation } from "@cellfold/cellfold/internal";
 * const relu = resolveActivation("relu");
 * assertEquals(toNested(relu(tensor([-1, 2]))), [0, 2]);
 * ```
 */
export function resolveActivation(activation: ActivationLike): Activation {
  if (activation === null || activation === undefined) return linear;
  if (typeof activation === "function") return activation;
  if (typeof activation !== "string") {
    throw new TypeError(
      `Cannot use ${describeValue(activation)} as an activation: expected a name or a function`,
    );
  }
  if (!Object.hasOwn(named, activation)) throw unknownName("activation", activation, activationNames);
  return named[activation];
}

/**
 * The name under which an activation is saved; undefined for a user's function, which is not data.
 *
 * @throws RangeError for an unknown name, as {@linkcode resolveActivation} does.
 */
export function activationName(activation: ActivationLike): ActivationName | undefined {
  const resolved = resolveActivation(activation);
  if (typeof activation === "string") return activation;
  return activationNames.find((name) => named[name] === resolved);
}
