/**
 * Sequences in place of others: a scan that reads a step of one sequence for the last time, and then writes a step of
 * another that lies alike, writes it over the first. What it writes is in the cache already, and need not be fetched
 * only to be overwritten; and a training step needs less memory.
 */
import { sameShape } from "../../src/tensor/dims.ts";
import { type Buffer, sameLoops, type View } from "../lowering/views.ts";
import { cpuFunctions, type CpuKernel, type CpuScanKernel } from "./kernels.ts";

const { readsOf, writesOf, buffersOf } = cpuFunctions;

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
    return writesOf(scan).filter(isNew).reduce((changed, made) => {
      const old = readsOf(scan).find((read) =>
        isLast(read) && !taken.has(read.buffer) && mayReplace(scan, read, made)
      );
      if (!old) return changed;
      taken.add(old.buffer);
      return changed.map((kernel) => withBuffer(kernel, made.buffer, old.buffer));
    }, all);
  }, [...kernels]);
}

function buffersIn(kernels: readonly CpuKernel[]): ReadonlySet<Buffer> {
  return new Set(kernels.flatMap(buffersOf));
}

/** Whether a step of a sequence may be written over that of another one. */
function mayReplace({ body, loop }: CpuScanKernel, old: View, made: View): boolean {
  const readers = body.filter((kernel) => buffersOf(kernel).includes(old.buffer));
  const writers = body.filter((kernel) => writesOf(kernel).some(({ buffer }) => buffer === made.buffer));
  const [writer] = writers;
  const isOwn = made.loops.length === 1 && made.loops[0].loop === loop &&
    made.buffer.size === old.buffer.size;
  if (!isOwn || writers.length !== 1 || writer.kind !== "fused") return false;
  const last = body.indexOf(writer);
  const isWritten = body.some((kernel) => writesOf(kernel).some(({ buffer }) => buffer === old.buffer));
  const reads = readers.flatMap(readsOf).filter(({ buffer }) => buffer === old.buffer);
  const writes = writesOf(writer).filter(({ buffer }) => buffer === made.buffer);
  const madeEarlier = body.slice(0, last).some((kernel) => buffersOf(kernel).includes(made.buffer));
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
