/** Matrix products, batched or not; `einsum` in einsum.ts reduces to them. */
import { checkOptions } from "../option_names.ts";
import { checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { sameShape, sizeOfShape } from "../tensor/dims.ts";
import type { Operation } from "../program/types.ts";
import { applyOne } from "./apply.ts";
import { printSpecs, requireFloat, requireSameDType } from "./infer.ts";
import { reshape } from "./structure.ts";

/** Which operands of a product are stored transposed. */
export interface MatmulOptions {
  /** The left operand is stored as `[...batch, k, m]`; default false. */
  readonly transposeLeft?: boolean;
  /** The right operand is stored as `[...batch, n, k]`; default false. */
  readonly transposeRight?: boolean;
}

export const matmulOperation: Operation<"matmul"> = {
  name: "matmul",
  infer: ([a, b], { transposeLeft, transposeRight }) => {
    requireFloat("matmul", [a, b]);
    requireSameDType("matmul", [a, b]);
    const rank = a.shape.length;
    const fail = (why: string) => new TypeError(`Cannot compute matmul of ${printSpecs([a, b])}: ${why}`);
    if (rank < 2 || b.shape.length !== rank) throw fail("ranks must be equal and at least 2");
    if (!sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2))) throw fail("the leading sizes differ");
    const [m, k] = transposeLeft ? [a.shape[rank - 1], a.shape[rank - 2]] : a.shape.slice(-2);
    const [inner, n] = transposeRight ? [b.shape[rank - 1], b.shape[rank - 2]] : b.shape.slice(-2);
    if (k !== inner) throw fail(`the inner sizes ${k} and ${inner} differ`);
    return [{ shape: [...a.shape.slice(0, -2), m, n], dtype: a.dtype }];
  },
  isHeavy: true,
};

function requireRank(x: Spec, least: number): void {
  if (x.shape.length < least) {
    throw new TypeError(`Cannot compute matmul with ${printSpec(x)}: it has too few axes`);
  }
}

/**
 * The matrix product over the last two axes: `[...batch, m, k] × [...batch, k, n] -> [...batch, m, n]`, with
 * equal leading sizes. A matrix on the right also multiplies a left operand of any rank:
 * `[..., k] × [k, n] -> [..., n]`.
 *
 * @throws TypeError that names both shapes.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkTensor("matmul", a, "a");
  checkTensor("matmul", b, "b");
  checkOptions("matmul", options, ["transposeLeft", "transposeRight"]);
  const { transposeLeft = false, transposeRight = false } = options;
  requireRank(a, 1);
  requireRank(b, 2);
  const attributes = { transposeLeft, transposeRight };
  if (a.shape.length === b.shape.length) return applyOne(matmulOperation, [a, b], attributes);
  if (b.shape.length !== 2 || transposeLeft) {
    throw new TypeError(
      `Cannot compute matmul of ${printSpecs([a, b])}: ranks must be equal, ` +
        `or the right operand a matrix and the left one not transposed`,
    );
  }
  const inner = a.shape[a.shape.length - 1];
  const wanted = b.shape[transposeRight ? 1 : 0];
  if (inner !== wanted) {
    throw new TypeError(
      `Cannot compute matmul of ${printSpecs([a, b])}: the inner sizes ${inner} and ${wanted} differ`,
    );
  }
  const rows = a.shape.slice(0, -1);
  const flat = applyOne(matmulOperation, [reshape(a, [sizeOfShape(rows), inner]), b], attributes);
  return reshape(flat, [...rows, b.shape[transposeRight ? 0 : 1]]);
}
