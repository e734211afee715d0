/** Operations on indices: iota, gather and its adjoint, one-hot. */
import { checkOptions } from "../option_names.ts";
import { requireRows } from "../program/empty.ts";
import type { Operation } from "../program/types.ts";
import { checkDim, checkShape, type Dim, type Shape } from "../tensor/dims.ts";
import { checkTensor, type DType, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { cast, equal } from "./elementwise.ts";
import { printSpecs, requireNumber } from "./infer.ts";
import { expandDims } from "./structure.ts";
import { resolveAxis } from "./axes.ts";
import { type DTypeOptions } from "./creation.ts";

export const iotaOperation: Operation<"iota"> = {
  name: "iota",
  isCheap: true,
  infer: (_, { shape, dtype }) => {
    if (dtype === "bool") throw new TypeError("Cannot count in bool: expected the dtype of a number");
    return [{ shape, dtype }];
  },
};

function requireIndices(name: string, indices: Spec): void {
  if (indices.dtype !== "int32") {
    throw new TypeError(
      `Cannot ${name} with indices ${printSpec(indices)}: expected int32; use cast(x, "int32")`,
    );
  }
}

export const gatherOperation: Operation<"gather"> = {
  name: "gather",
  infer: ([operand, indices]) => {
    requireIndices("gather", indices);
    if (operand.shape.length === 0) {
      throw new TypeError(`Cannot gather from ${printSpec(operand)}: it has no axis`);
    }
    requireRows("gather", operand.shape[0], indices.shape);
    return [{ shape: [...indices.shape, ...operand.shape.slice(1)], dtype: operand.dtype }];
  },
  isHeavy: true,
  leading: 1,
  movedAxis: ({ axis, inputs: [, indices] }) => axis === 0 ? undefined : axis + indices.shape.length - 1,
};

export const scatterAddOperation: Operation<"scatterAdd"> = {
  name: "scatterAdd",
  infer: ([indices, updates], { rows }) => {
    requireIndices("scatterAdd", indices);
    requireNumber("scatterAdd", [updates]);
    if (indices.shape.some((dim, axis) => dim !== updates.shape[axis])) {
      throw new TypeError(`Cannot scatterAdd ${printSpecs([indices, updates])}: leading sizes differ`);
    }
    requireRows("scatterAdd", rows, indices.shape);
    return [{ shape: [rows, ...updates.shape.slice(indices.shape.length)], dtype: updates.dtype }];
  },
};

/** 0, 1, 2… along an axis (default: the last). */
export function iota(shape: Shape, options: { readonly axis?: number; readonly dtype?: DType } = {}): Tensor {
  checkShape("make iota", shape);
  checkOptions("iota", options, ["axis", "dtype"]);
  const axis = resolveAxis(options.axis ?? -1, shape.length, "count");
  return applyOne(iotaOperation, [], { shape, axis, dtype: options.dtype ?? "int32" });
}

/**
 * The rows of `operand` (`[rows, ...rest]`) at `indices` (int32, any shape): `[...indices, ...rest]`. An
 * index out of range reads the nearest row, on every backend.
 *
 * @throws RangeError if there are indices but no rows.
 */
export function gather(operand: Tensor, indices: Tensor): Tensor {
  checkTensor("gather", operand, "operand");
  checkTensor("gather", indices, "indices");
  return applyOne(gatherOperation, [operand, indices], {});
}

/** For each of `rows` rows, the sum of the updates (`[...indices, ...rest]`) with its index. */
export function scatterAdd(indices: Tensor, updates: Tensor, options: { readonly rows: Dim }): Tensor {
  checkTensor("scatterAdd", indices, "indices");
  checkTensor("scatterAdd", updates, "updates");
  checkOptions("scatterAdd", options, ["rows"]);
  const { rows } = options;
  checkDim("compute scatterAdd", rows, "rows");
  return applyOne(scatterAddOperation, [indices, updates], { rows });
}

/** 1 at each index (int32) along a new last axis of size `classes`, else 0. */
export function oneHot(indices: Tensor, classes: number, options: DTypeOptions = {}): Tensor {
  checkTensor("oneHot", indices, "indices");
  requireIndices("oneHot", indices);
  checkDim("compute oneHot", classes, "classes");
  checkOptions("oneHot", options, ["dtype"]);
  return cast(equal(expandDims(indices, -1), iota([classes])), options.dtype ?? "float32");
}
