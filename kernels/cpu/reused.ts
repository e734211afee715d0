/**
 * Sequences in place of others: a scan that reads a step of one sequence for the last time, and then writes a step of
 * another that lies alike, writes it over the first. What it writes is in the cache already, and need not be fetched
 * only to be overwritten; and a training step needs less memory.
 */
import { sameShape } from "../../src/tensor/dims.ts";
import { type Buffer, sameLoops, type View } from "../lowering/views.ts";
import type { CpuKernel, CpuScanKernel } from "./kernels.ts";
import { buffersIn, usesOf } from "./uses.ts";

/** Lets scans write sequences over those that they read last. */
export function reuseSequences(kernels: readonly CpuKernel[]): CpuKernel[] {
  return kernels.reduce<CpuKernel[]>((all, _, at) => {
    const scan = all[at];
    if (scan.kind !== "scan") return all;
    const before = buffersIn(all.slice(0, at)), after = buffersIn(all.slice(at + 1));
    const isNew = ({ buffer }: View) => buffer.storage.kind === "arena" && !before.has(buffer);
    const isLast = ({ buffer }: View) =>
      buffer.storage.kind === "arena" && before.has(buffer) && !after.has(buffer);
    const taken = new Set<Buffer>();
    const olds = new Map(usesOf(scan).reads.filter(isLast).map((read) => [read.buffer, read]));
    return usesOf(scan).writes.filter(isNew).reduce((changed, made) => {
      const old = [...olds.values()].find((read) =>
        !taken.has(read.buffer) && liesAlike(read, made) && mayReplace(scan, read, made)
      );
      if (!old) return changed;
      taken.add(old.buffer);
      return changed.map((kernel) => withBuffer(kernel, made.buffer, old.buffer));
    }, all);
  }, [...kernels]);
}

/** Whether a step of a sequence may be written over that of another one. */
function mayReplace({ body, loop }: CpuScanKernel, old: View, made: View): boolean {
  const readers = body.filter((kernel) => usesOf(kernel).buffers.has(old.buffer));
  const writers = body.filter((kernel) => usesOf(kernel).written.has(made.buffer));
  const [writer] = writers;
  const isOwn = made.loops.length === 1 && made.loops[0].loop === loop &&
    made.buffer.size === old.buffer.size;
  if (!isOwn || writers.length !== 1 || writer.kind !== "fused") return false;
  const last = body.indexOf(writer);
  const isWritten = body.some((kernel) => usesOf(kernel).written.has(old.buffer));
  const reads = readers.flatMap((kernel) => usesOf(kernel).reads).filter(({ buffer }) =>
    buffer === old.buffer
  );
  const writes = usesOf(writer).writes.filter(({ buffer }) => buffer === made.buffer);
  const madeEarlier = body.slice(0, last).some((kernel) => usesOf(kernel).buffers.has(made.buffer));
  // Other views of the same memory would see rows or steps that are not read yet.
  return !isWritten && !madeEarlier && readers.every((kernel) => body.indexOf(kernel) <= last) &&
    reads.every((view) => liesAlike(view, made)) && writes.every((view) => liesAlike(view, made)) &&
    writes.length === 1;
}

function liesAlike(a: View, b: View): boolean {
  return a.offset === b.offset && sameShape(a.shape, b.shape) && sameShape(a.strides, b.strides) &&
    sameLoops(a, b);
}

/** Plain data with a buffer in place of another one; what does not mention it stays the same object. */
function withBuffer<Data>(data: Data, from: Buffer, to: Buffer): Data {
  const change = (given: unknown): unknown => {
    if (given === from) return to;
    if (Array.isArray(given)) {
      const changed = given.map(change);
      return changed.some((each, index) => each !== given[index]) ? changed : given;
    }
    if (typeof given !== "object" || given === null || ArrayBuffer.isView(given)) return given;
    const entries = Object.entries(given).map(([key, value]) => [key, change(value), value] as const);
    return entries.some(([, value, before]) => value !== before)
      ? Object.fromEntries(entries.map(([key, value]) => [key, value]))
      : given;
  };
  return change(data) as Data; // of the same form
}
