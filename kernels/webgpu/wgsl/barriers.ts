/** Where the invocations of a workgroup must wait for each other. */
import { type Kernel, readsOf, writesOf } from "../../lowering/kernels.ts";
import type { Buffer, View } from "../../lowering/views.ts";
import type { Locations, RowMemory } from "./address.ts";

/**
 * For each of these kernels, which run in order, whether all invocations must finish the kernels before it
 * first. Buffers that are not live at the same time may share a place.
 */
export function barriersBetween(kernels: readonly Kernel[], locations: Locations): boolean[] {
  const read = new Set<Buffer>(), written = new Set<Buffer>();
  const meets = (buffer: Buffer, others: ReadonlySet<Buffer>) =>
    [...others].some((other) => overlap(buffer, other, locations));
  return kernels.map((kernel) => {
    const reads = buffersOf(readsOf(kernel)), writes = buffersOf(writesOf(kernel));
    const needs = [...reads].some((buffer) => meets(buffer, written)) ||
      [...writes].some((buffer) => meets(buffer, written) || meets(buffer, read));
    if (needs) {
      read.clear();
      written.clear();
    }
    for (const buffer of reads) read.add(buffer);
    for (const buffer of writes) written.add(buffer);
    return needs;
  });
}

/** Whether two buffers share an element. */
function overlap(a: Buffer, b: Buffer, { locationOf }: Locations): boolean {
  if (a === b) return true;
  const [here, there] = [locationOf(a), locationOf(b)];
  const share = (from: number, other: number) => from < other + b.size && other < from + a.size;
  if (here.in === "memory" && there.in === "memory") return share(here.word, there.word);
  if (here.in === "halves" && there.in === "halves") return share(here.at, there.at);
  return false; // inputs and outputs have regions of their own
}

/**
 * The barriers that a loop needs after a kernel: one for each kind of memory in which it wrote a buffer that
 * any kernel reads or another one writes; if there is none, a workgroup barrier if another kernel overwrites
 * what it has read.
 */
export function barriersAfter(kernel: Kernel, body: readonly Kernel[], { places }: RowMemory): string[] {
  const others = body.filter((other) => other !== kernel);
  const read = buffersOf(body.flatMap(readsOf)), written = buffersOf(others.flatMap(writesOf));
  const passedOn = [...buffersOf(writesOf(kernel))].filter((buffer) =>
    read.has(buffer) || written.has(buffer)
  );
  const lines: string[] = [];
  if (passedOn.some((buffer) => places.has(buffer))) lines.push("workgroupBarrier();");
  if (passedOn.some((buffer) => !places.has(buffer))) lines.push("storageBarrier();");
  const isOverwritten = readsOf(kernel).some(({ buffer }) => written.has(buffer));
  if (lines.length === 0 && isOverwritten) lines.push("workgroupBarrier();");
  return lines;
}

function buffersOf(views: readonly View[]): Set<Buffer> {
  return new Set(views.map(({ buffer }) => buffer));
}
