/** Rows by index, and its adjoint. Indices outside the rows are clamped into range in both. */
import { requireRows } from "../../src/program/empty.ts";
import type { KernelBuilder, Kernels } from "./kernel.ts";
import { sizeOf } from "../shapes.ts";

function clamp(index: number, rows: number): number {
  return index < 0 ? 0 : index >= rows ? rows - 1 : index;
}

const gather: KernelBuilder<"gather"> = ({ inputs: [operand, indices] }) => {
  const rows = operand.shape[0];
  const width = sizeOf(operand.shape.slice(1));
  requireRows("gather", rows, indices.shape);
  return ([values, index], [out]) => {
    for (let i = 0; i < index.length; i++) {
      const row = clamp(index[i], rows) * width;
      for (let j = 0; j < width; j++) out[i * width + j] = values[row + j];
    }
  };
};

const scatterAdd: KernelBuilder<"scatterAdd"> = ({ inputs: [indices], outputs: [output] }) => {
  const rows = output.shape[0];
  const width = sizeOf(output.shape.slice(1));
  requireRows("scatterAdd", rows, indices.shape);
  // Floats are summed in float64, as in every reduction.
  const sums = output.dtype === "int32" ? undefined : new Float64Array(rows * width);
  return ([index, updates], [out]) => {
    const to = sums ?? out;
    to.fill(0);
    for (let i = 0; i < index.length; i++) {
      const row = clamp(index[i], rows) * width;
      for (let j = 0; j < width; j++) to[row + j] += updates[i * width + j];
    }
    if (sums) out.set(sums);
  };
};

/** Builders of the kernels that index rows. */
export const indexing: Kernels<"gather" | "scatterAdd"> = { gather, scatterAdd };
