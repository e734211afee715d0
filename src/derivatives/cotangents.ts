/** Cotangents that may be zero, which is undefined. */
import { zerosLike } from "../operations/creation.ts";
import { add } from "../operations/elementwise.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";

/** The sum of two cotangents of which either may be zero. */
export function addCotangents(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a && b ? add(a, b) : a ?? b;
}

/** A cotangent, or zeros if it is undefined. */
export function zerosIfAbsent(cotangent: Tensor | undefined, like: Spec): Tensor {
  return cotangent ?? zerosLike(like);
}
