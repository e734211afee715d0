/** The activations of ONNX's recurrent operators, by name with alpha and beta. */
import {
  add,
  clip,
  expm1,
  greater,
  greaterEqual,
  minimum,
  mul,
  select,
  tanh,
} from "../../../src/operations/elementwise.ts";
import type { Activation, ActivationLike } from "../../../src/operations/activations.ts";
import { unknownName } from "../../../src/known_names.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { attribute, type Node } from "./node.ts";

/**
 * An activation: how many of alpha and beta it takes, their defaults (those of the operators of these names,
 * and 1 and 0 or 1 where there is no such operator any more; onnxruntime uses 0 for some), and its function.
 */
interface Definition {
  readonly alpha?: number;
  readonly beta?: number;
  make(alpha: number, beta: number): ActivationLike;
}

/** Whether two numbers are the same float32. */
function same(a: number, b: number): boolean {
  return Math.fround(a) === Math.fround(b);
}

/** `x` above 0, else `alpha · x`. */
export function leakyReluOf(alpha: number): ActivationLike {
  if (same(alpha, 0.2)) return "leakyRelu";
  return (x) => select(greaterEqual(x, 0), x, mul(x, alpha));
}

/** `x` for `x ≥ 0`, else `alpha · (e^x - 1)`. */
export function eluOf(alpha: number): ActivationLike {
  if (alpha === 1) return "elu";
  return (x) => select(greaterEqual(x, 0), x, mul(expm1(minimum(x, 0)), alpha));
}

/** `alpha · x + beta` limited to 0…1. */
export function hardSigmoidOf(alpha: number, beta: number): ActivationLike {
  if (same(alpha, 1 / 6) && beta === 0.5) return "hardSigmoid";
  if (same(alpha, 0.2) && beta === 0.5) return "hardSigmoidKeras2";
  return (x) => clip(add(mul(x, alpha), beta), { min: 0, max: 1 });
}

/** `x` above alpha, else 0. */
export function thresholdedReluOf(alpha: number): Activation {
  return (x): Tensor => select(greater(x, alpha), x, 0);
}

/** `alpha · x + beta`. */
function affineOf(alpha: number, beta: number): ActivationLike {
  if (alpha === 1 && beta === 0) return "linear";
  return (x) => add(mul(x, alpha), beta);
}

/** In lower case, as onnxruntime compares names. */
const definitions: { readonly [name: string]: Definition } = {
  relu: { make: () => "relu" },
  tanh: { make: () => "tanh" },
  sigmoid: { make: () => "sigmoid" },
  softsign: { make: () => "softsign" },
  softplus: { make: () => "softplus" },
  affine: { alpha: 1, beta: 0, make: affineOf },
  leakyrelu: { alpha: 0.01, make: leakyReluOf },
  thresholdedrelu: { alpha: 1, make: thresholdedReluOf },
  scaledtanh: { alpha: 1, beta: 1, make: (alpha, beta) => (x) => mul(tanh(mul(x, beta)), alpha) },
  hardsigmoid: { alpha: 0.2, beta: 0.5, make: hardSigmoidOf },
  elu: { alpha: 1, make: eluOf },
};

/**
 * The activations of a recurrent node, a list for each direction. Those that take alpha and beta consume them
 * from the lists in order; once a list is exhausted, defaults are used. Equal activations are one value.
 *
 * @param defaults The names for one direction.
 */
export function activationsOf(
  node: Node,
  defaults: readonly string[],
  directions: number,
): ActivationLike[][] {
  const all = Array.from({ length: directions }, () => defaults).flat();
  const names = attribute(node, "activations", "strings") ?? all;
  if (names.length !== all.length) {
    throw new RangeError(`its activations are [${names.join(", ")}], expected ${all.length} of them`);
  }
  const alphas = [...attribute(node, "activation_alpha", "floats") ?? []];
  const betas = [...attribute(node, "activation_beta", "floats") ?? []];
  const made = new Map<string, ActivationLike>();
  const activations = names.map((name) => {
    const key = name.toLowerCase();
    if (!Object.hasOwn(definitions, key)) {
      throw unknownName("activation", name, Object.keys(definitions));
    }
    const { alpha, beta, make } = definitions[key];
    const a = alpha === undefined ? 0 : alphas.shift() ?? alpha;
    const b = beta === undefined ? 0 : betas.shift() ?? beta;
    const text = `${key} ${a} ${b}`;
    const activation = made.get(text) ?? make(a, b);
    made.set(text, activation);
    return activation;
  });
  return Array.from(
    { length: directions },
    (_, index) => activations.slice(index * defaults.length, (index + 1) * defaults.length),
  );
}
