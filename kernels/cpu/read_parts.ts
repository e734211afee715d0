/**
 * Which part of an input a Program reads, where it is the same part of every row and a small one: a loss that depends on
 * the last step of a sequence alone, say. Only that part is copied from the host.
 */
import { type Bindings, type Dim, evaluateDim } from "../../src/tensor/dims.ts";
import { copyRows, type RowPart, rowsOf } from "../../src/tensor/rows.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import type { View } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";
import type { CpuMemory } from "./device.ts";
import { cpuFunctions, type CpuKernel } from "./kernels.ts";

/** Parts of more elements in all, or of rows that are shorter, are copied as a whole. */
const MOST_READ = 0.5, LEAST_ROW = 256;

/** A view that is read, and the lengths of the loops around it, from the outermost. */
interface Read {
  readonly view: View;
  readonly lengths: readonly Dim[];
}

/** All that a Program reads of each input. */
export type InputReads = ReadonlyMap<number, readonly Read[]>;

/** Finds all that kernels read of inputs. */
export function inputReads(kernels: readonly CpuKernel[]): InputReads {
  const reads = new Map<number, Read[]>();
  const visit = (kernel: CpuKernel, lengths: readonly Dim[]): void => {
    if (kernel.kind === "scan") {
      for (const inside of kernel.body) visit(inside, [...lengths, kernel.length]);
      return;
    }
    for (const view of cpuFunctions.readsOf(kernel)) {
      const { storage } = view.buffer;
      if (storage.kind !== "input") continue;
      const known = reads.get(storage.index) ?? [];
      reads.set(storage.index, known);
      known.push({ view, lengths });
    }
  };
  for (const kernel of kernels) visit(kernel, []);
  return reads;
}

/** The part of every row of an input of this shape that is read; undefined if it is most of it, or not one part. */
export function readPart(
  reads: readonly Read[],
  shape: readonly number[],
  bindings: Bindings,
): RowPart | undefined {
  const row = sizeOf(shape.slice(1));
  if (shape.length < 2 || row < LEAST_ROW) return undefined;
  let first = Infinity, end = 0;
  for (const { view, lengths } of reads) {
    const all = [
      ...view.shape.map((size, axis) => ({ size, stride: view.strides[axis] })),
      ...view.loops.map(({ loop, stride }) => ({ size: lengths[loop], stride })),
    ].map(({ size, stride }) => ({
      size: evaluateDim(size, bindings),
      stride: evaluateDim(stride, bindings),
    }));
    if (all.some(({ size }) => size === 0)) continue;
    const axes = all.filter(({ stride }) => stride % row !== 0); // others lead to the same place of another row
    const before = axes.reduce((sum, { size, stride }) => sum + Math.min(0, (size - 1) * stride), 0);
    const span = axes.reduce((sum, { size, stride }) => sum + Math.abs((size - 1) * stride), 0);
    const from = (evaluateDim(view.offset, bindings) + before) % row;
    first = Math.min(first, from);
    end = Math.max(end, from + span + 1);
  }
  // A view that goes on in the next row ends beyond this one.
  return end > first && end - first <= MOST_READ * row && end <= row
    ? { row, first, count: end - first }
    : undefined;
}

/** Copies a host tensor to an address, or that part of each of its rows. */
export function writeInput(
  memory: CpuMemory,
  address: number,
  tensor: HostTensor,
  part: RowPart | undefined,
): void {
  const rows = rowsOf(tensor);
  if (!rows && !part) return memory.write(address, tensor);
  const size = sizeOf(tensor.shape);
  const to = tensor.dtype === "float32"
    ? new Float32Array(memory.buffer, address, size)
    : memory.words(address, size);
  if (rows) copyRows(rows, to, part);
  else if (part) {
    const { row, first, count } = part;
    for (let at = first; at < size; at += row) to.set(tensor.data.subarray(at, at + count), at);
  }
}
