/**
 * Arithmetic and comparisons of sizes that are known while tracing, as numbers or as symbols: results are known where they
 * are the same for all values of the symbols, which are at least 1.
 */
import { addDims, type Dim, isAtMost, multiplyDims } from "../../../src/tensor/dims.ts";
import { hostTensor, type Tensor } from "../../../src/tensor/tensor.ts";
import { type OnnxValue, sizesBehind, type SizesValue } from "./values.ts";

/** Pairs the sizes of both operands; undefined unless they match up. */
export function pairs(a: SizesValue, b: SizesValue): (readonly [Dim, Dim])[] | undefined {
  const length = Math.max(a.sizes.length, b.sizes.length);
  const at = ({ sizes }: SizesValue, index: number) => sizes.length === 1 ? sizes[0] : sizes[index];
  const paired = Array.from({ length }, (_, index) => [at(a, index), at(b, index)] as const);
  return paired.every(([x, y]) => x !== undefined && y !== undefined) ? paired : undefined;
}

/** What an operator makes of two lists of sizes, where it can. */
export function sizesOfPair(
  a: OnnxValue,
  b: OnnxValue,
  compute: (a: Dim, b: Dim) => Dim | undefined,
): SizesValue | undefined {
  const both = bothSizes(a, b);
  if (!both) return undefined;
  const sizes = pairs(...both)?.map(([x, y]) => compute(x, y));
  if (!sizes?.every((size) => size !== undefined)) return undefined;
  return { kind: "sizes", sizes, scalar: both.every(({ scalar }) => scalar) };
}

/** Two values as sizes, if both are known to be, and one is not merely a list of whole numbers. */
export function bothSizes(a: OnnxValue, b: OnnxValue): readonly [SizesValue, SizesValue] | undefined {
  if ([a, b].every((value) => value.kind === "tensor" && value.base.kind === "host")) return undefined;
  const [x, y] = [sizesBehind(a), sizesBehind(b)];
  return x && y && [x, y];
}

/** A size to a small power. */
export function power(size: Dim, exponent: Dim): Dim | undefined {
  if (typeof exponent !== "number" || !(Number.isInteger(exponent) && exponent >= 0 && exponent <= 8)) {
    return undefined;
  }
  return Array.from({ length: exponent }, () => size).reduce<Dim>(multiplyDims, 1);
}

/** The larger of two sizes, if it is the same whatever their symbols are. */
export function largerSize(a: Dim, b: Dim): Dim | undefined {
  return isAtMost(a, b) ? b : isAtMost(b, a) ? a : undefined;
}

/** The smaller of two sizes, if it is the same whatever their symbols are. */
export function smallerSize(a: Dim, b: Dim): Dim | undefined {
  return isAtMost(a, b) ? a : isAtMost(b, a) ? b : undefined;
}

/** Whether something holds for pairs of sizes, if all of that is known. */
export function decide(
  a: SizesValue,
  b: SizesValue,
  holds: (a: Dim, b: Dim) => boolean | undefined,
): Tensor | undefined {
  const decided = pairs(a, b)?.map(([x, y]) => holds(x, y));
  if (!decided?.every((value) => value !== undefined)) return undefined;
  return hostTensor(Uint8Array.from(decided, Number), a.scalar && b.scalar ? [] : [decided.length]);
}

/** Whether one size is less than another, if that is so whatever their symbols are. */
export function isLess(a: Dim, b: Dim): boolean | undefined {
  if (isAtMost(addDims(a, 1), b)) return true;
  return isAtMost(b, a) ? false : undefined;
}

/** Whether one size is at most another, if that is so whatever their symbols are. */
export function isNotMore(a: Dim, b: Dim): boolean | undefined {
  if (isAtMost(a, b)) return true;
  return isAtMost(addDims(b, 1), a) ? false : undefined;
}

/** Whether two sizes are equal: they are not if one is less whatever the symbols are. */
export function isEqual(a: Dim, b: Dim): boolean | undefined {
  if (a === b) return true;
  return isLess(a, b) || isLess(b, a) ? false : undefined;
}
