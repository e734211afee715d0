/**
 * The matrix product. The right operand is copied once per matrix into a row-major float64 panel `[k, n]`,
 * whatever its layout and dtype; then each output row is a sum of panel rows (the order i, k, j: contiguous
 * inner loops).
 */
import type { Values } from "../../src/tensor/tensor.ts";
import type { KernelBuilder, Kernels } from "./kernel.ts";
import { sizeOf } from "../shapes.ts";

/**
 * A matrix inside an array: element (row, column) is at `offset + row * rowStride + column * columnStride`.
 */
interface Matrix {
  readonly rowStride: number;
  readonly columnStride: number;
}

function pack(
  source: Values,
  offset: number,
  layout: Matrix,
  k: number,
  n: number,
  panel: Float64Array,
): void {
  const { rowStride, columnStride } = layout;
  for (let p = 0; p < k; p++) {
    for (let j = 0; j < n; j++) panel[p * n + j] = source[offset + p * rowStride + j * columnStride];
  }
}

/** `row = left[i, :] · panel`, four rows of the panel at a time to halve the traffic to `row`. */
function multiplyRow(
  left: Values,
  start: number,
  stride: number,
  panel: Float64Array,
  k: number,
  n: number,
  row: Float64Array,
): void {
  row.fill(0);
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    const a0 = left[start + p * stride];
    const a1 = left[start + (p + 1) * stride];
    const a2 = left[start + (p + 2) * stride];
    const a3 = left[start + (p + 3) * stride];
    const b0 = p * n;
    const b1 = b0 + n;
    const b2 = b1 + n;
    const b3 = b2 + n;
    for (let j = 0; j < n; j++) {
      row[j] += a0 * panel[b0 + j] + a1 * panel[b1 + j] + a2 * panel[b2 + j] + a3 * panel[b3 + j];
    }
  }
  for (; p < k; p++) {
    const a = left[start + p * stride];
    for (let j = 0; j < n; j++) row[j] += a * panel[p * n + j];
  }
}

function multiplyRowOfInts(
  left: Values,
  start: number,
  stride: number,
  panel: Float64Array,
  k: number,
  n: number,
  row: Float64Array,
): void {
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let p = 0; p < k; p++) sum = (sum + Math.imul(left[start + p * stride], panel[p * n + j])) | 0;
    row[j] = sum;
  }
}

const matmul: KernelBuilder<"matmul"> = ({ attributes, inputs: [left], outputs: [output] }) => {
  const { transposeLeft, transposeRight } = attributes;
  const rank = output.shape.length;
  const m = output.shape[rank - 2];
  const n = output.shape[rank - 1];
  const k = left.shape[transposeLeft ? rank - 2 : rank - 1];
  const batches = sizeOf(output.shape.slice(0, rank - 2));
  const leftLayout: Matrix = transposeLeft
    ? { rowStride: 1, columnStride: m }
    : { rowStride: k, columnStride: 1 };
  const rightLayout: Matrix = transposeRight
    ? { rowStride: 1, columnStride: k }
    : { rowStride: n, columnStride: 1 };
  const multiply = output.dtype === "int32" ? multiplyRowOfInts : multiplyRow;
  const panel = new Float64Array(k * n);
  const row = new Float64Array(n);
  return ([a, b], [out]) => {
    for (let batch = 0; batch < batches; batch++) {
      pack(b, batch * k * n, rightLayout, k, n, panel);
      for (let i = 0; i < m; i++) {
        const start = batch * m * k + i * leftLayout.rowStride;
        multiply(a, start, leftLayout.columnStride, panel, k, n, row);
        out.set(row, (batch * m + i) * n);
      }
    }
  };
};

/**
 * `(left, right, first, out)`: the matrix `left` times `n` columns of `right` from `first` on, to the same columns of
 * `out`. The rows of both are `rowStride` apart.
 */
export function matmulOf(
  { m, k, n, rowStride }: {
    readonly m: number;
    readonly k: number;
    readonly n: number;
    readonly rowStride: number;
  },
): (left: Values, right: Values, first: number, out: Values) => void {
  const panel = new Float64Array(k * n), row = new Float64Array(n);
  return (left, right, first, out) => {
    pack(right, first, { rowStride, columnStride: 1 }, k, n, panel);
    for (let i = 0; i < m; i++) {
      multiplyRow(left, i * k, 1, panel, k, n, row);
      out.set(row, i * rowStride + first);
    }
  };
}

/** The builder of the matrix product. */
export const products: Kernels<"matmul"> = { matmul };
