/** The derivative of the matrix product: products with the other operand. */
import { applyOne } from "../operations/apply.ts";
import { matmulOperation } from "../operations/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Derivatives } from "./rule.ts";

/** The cotangent of a transposed operand is computed transposed, so that nothing is moved. */
export const products: Derivatives<"matmul"> = {
  matmul: ({ inputs: [a, b], cotangents: [c], wanted, attributes: { transposeLeft, transposeRight } }) => {
    if (!c) return [undefined, undefined];
    const product = (x: Tensor, y: Tensor, left: boolean, right: boolean) =>
      applyOne(matmulOperation, [x, y], { transposeLeft: left, transposeRight: right });
    return [
      !wanted[0]
        ? undefined
        : transposeLeft
        ? product(b, c, transposeRight, true)
        : product(c, b, false, !transposeRight),
      !wanted[1]
        ? undefined
        : transposeRight
        ? product(c, a, true, transposeLeft)
        : product(a, c, !transposeLeft, false),
    ];
  },
};
