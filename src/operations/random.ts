/**
 * Random numbers from explicit keys. A key is `int32[2]`; the bits are threefry-2x32 with 20 rounds (Salmon
 * et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), so every backend draws the same ones: element
 * i of a draw is word `i mod 2` of the block whose counter is `(i div 2, counter)`.
 */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import type { Operation } from "../program/types.ts";
import { checkShape, type Shape } from "../tensor/dims.ts";
import { checkKey } from "../tensor/keys.ts";
import { checkTensor, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { add, cast, cos, less, log, minimum, mul, not, type Operand, or, sqrt, sub } from "./elementwise.ts";
import { at } from "./structure.ts";

/** The counter of `splitKey`, which separates its draws from those of counter 0. */
const SPLIT_COUNTER = -1;

/**
 * The counter with which `foldIn` first derives a separate key, so that its numbers are not counters of the
 * given key.
 */
const FOLD_COUNTER = -2;

export const randomBitsOperation: Operation<"randomBits"> = {
  name: "randomBits",
  infer: ([, counter], { shape }) => {
    if (counter.dtype !== "int32" || counter.shape.length !== 0) {
      throw new TypeError(`Cannot draw random bits with the counter ${printSpec(counter)}: expected int32[]`);
    }
    return [{ shape, dtype: "int32" }];
  },
};

/**
 * A random key from a seed: any integer up to 2^53.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, splitKey, uniform } from "@cellfold/cellfold";
 * const [forWeights, forNoise] = splitKey(key(42), 2);
 * assertEquals(uniform(forWeights, [3]).shape[0], 3);
 * assertEquals(forNoise.dtype, "int32");
 * ```
 */
export function key(seed: number): Tensor {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`Cannot make a key from ${quoted(seed)}: expected a whole number`);
  }
  return tensor([Math.floor(seed / 2 ** 32) | 0, seed | 0], { dtype: "int32" });
}

/** Random int32 over the whole range; another `counter` (int32) gives other bits from the same key. */
export function randomBits(key: Tensor, shape: Shape, options: { readonly counter?: Operand } = {}): Tensor {
  checkOptions("randomBits", options, ["counter"]);
  const { counter = 0 } = options;
  checkShape("draw", shape);
  checkKey("draw", key);
  if (typeof counter !== "number") checkTensor("random bits", counter, "counter");
  const at = typeof counter === "number" ? tensor(counter, { dtype: "int32" }) : counter;
  return applyOne(randomBitsOperation, [key, at], { shape });
}

/** `count` independent keys; use each once. */
export function splitKey(key: Tensor, count: number): Tensor[] {
  checkCount("split a key", count, "count", 0);
  const bits = randomBits(key, [count, 2], { counter: SPLIT_COUNTER });
  return Array.from({ length: count }, (_, index) => at(bits, index));
}

/**
 * The key for a number (int32), such as a step or an index: independent for each number, and of draws with
 * the key itself.
 */
export function foldIn(key: Tensor, number: Operand): Tensor {
  return randomBits(randomBits(key, [2], { counter: FOLD_COUNTER }), [2], { counter: number });
}

/** Uniform float32 in `[min, max)` (default `[0, 1)`). */
export function uniform(
  key: Tensor,
  shape: Shape,
  options: { readonly min?: number; readonly max?: number; readonly counter?: Operand } = {},
): Tensor {
  checkOptions("uniform", options, ["min", "max", "counter"]);
  const { min = 0, max = 1, counter = 0 } = options;
  const drawn = add(mul(unit(randomBits(key, shape, { counter })), max - min), min);
  return minimum(drawn, below(max, min)); // rounding may reach max
}

/** The largest float32 below `max` (or `min`, if they are equal). */
function below(max: number, min: number): number {
  const bits = new Int32Array(1);
  const float = new Float32Array(bits.buffer);
  float[0] = max;
  if (float[0] <= Math.fround(min)) return float[0];
  if (float[0] === 0) return -(2 ** -149);
  bits[0] += float[0] > 0 ? -1 : 1;
  return float[0];
}

/**
 * The bits as a float32 in [0, 1): the int32 range divided by 2^32, kept below 1 when rounding would reach
 * it.
 */
function unit(bits: Tensor): Tensor {
  return minimum(add(mul(cast(bits, "float32"), 2 ** -32), 0.5), 1 - 2 ** -24);
}

/** Normal float32 (default mean 0, standard deviation 1), by the Box-Muller transform (1958). */
export function normal(
  key: Tensor,
  shape: Shape,
  options: { readonly mean?: number; readonly stddev?: number; readonly counter?: Operand } = {},
): Tensor {
  checkOptions("normal", options, ["mean", "stddev", "counter"]);
  const { mean = 0, stddev = 1, counter = 0 } = options;
  checkShape("draw", shape);
  const uniforms = unit(randomBits(key, [2, ...shape], { counter }));
  const radius = sqrt(mul(log(sub(1, at(uniforms, 0))), -2));
  return add(mul(mul(radius, cos(mul(at(uniforms, 1), 2 * Math.PI))), stddev), mean);
}

/** bool that is true with the given probability; the same elements on every backend. */
export function bernoulli(
  key: Tensor,
  shape: Shape,
  options: { readonly probability: number; readonly counter?: Operand },
): Tensor {
  checkOptions("bernoulli", options, ["probability", "counter"]);
  const { probability, counter } = options;
  if (!(typeof probability === "number" && probability >= 0 && probability <= 1)) {
    throw new RangeError(`Cannot draw with the probability ${quoted(probability)}: expected 0 to 1`);
  }
  const threshold = Math.min(Math.round(probability * 2 ** 32) - 2 ** 31, 2 ** 31 - 1);
  const drawn = less(randomBits(key, shape, { counter }), threshold);
  return probability === 1 ? or(drawn, not(drawn)) : drawn;
}

/**
 * The factors of dropout: `1 / (1 - rate)` with probability `1 - rate`, else 0 (Srivastava et al., 2014).
 *
 * @param options `rate`: the probability of 0, in `[0, 1)`.
 */
export function dropoutMask(
  key: Tensor,
  shape: Shape,
  options: { readonly rate: number; readonly counter?: Operand },
): Tensor {
  checkOptions("dropoutMask", options, ["rate", "counter"]);
  const { rate, counter } = options;
  if (!(typeof rate === "number" && rate >= 0 && rate < 1)) {
    throw new RangeError(`Cannot drop out at the rate ${quoted(rate)}: expected 0 to below 1`);
  }
  return mul(cast(bernoulli(key, shape, { probability: 1 - rate, counter }), "float32"), 1 / (1 - rate));
}
