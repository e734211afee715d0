/** Tensors of one value. */
import { wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { checkShape, type Shape } from "../tensor/dims.ts";
import { checkSpec, type DType, type Spec, type Tensor, tensor } from "../tensor/tensor.ts";
import { broadcastTo } from "./structure.ts";

/** The dtype of a new tensor. */
export interface DTypeOptions {
  /** Default: float32. */
  readonly dtype?: DType;
}

/** A tensor filled with one value. Sizes may be symbolic inside a trace. */
export function full(shape: Shape, value: number, options: DTypeOptions = {}): Tensor {
  checkShape("compute full", shape);
  if (typeof value !== "number") throw wrongKind("compute full", value, "the value", "a number");
  checkOptions("full", options, ["dtype"]);
  const { dtype = "float32" } = options;
  return broadcastTo(tensor(value, { dtype }), shape);
}

/** Zeros. */
export function zeros(shape: Shape, options: DTypeOptions = {}): Tensor {
  return full(shape, 0, options);
}

/** Ones. */
export function ones(shape: Shape, options: DTypeOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** Zeros with the shape and dtype of `like`. */
export function zerosLike(like: Spec): Tensor {
  checkSpec("make zeros", like, "the argument");
  return zeros(like.shape, { dtype: like.dtype });
}
