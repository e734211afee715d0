/** Where the invocations of a workgroup must wait for each other. */
import { type Kernel, readsOf, writesOf } from "../../lowering/kernels.ts";
import type { Buffer, View } from "../../lowering/views.ts";
import type { RowMemory } from "./address.ts";

/**
 * For each of these kernels, which run in order, whether all invocations must finish the kernels before it
 * first. Buffers of kernels that run together never share memory (`../bound.ts`).
 */
export function barriersBetween(kernels: readonly Kernel[]): boolean[] {
  const read = new Set<Buffer>(), written = new Set<Buffer>();
  return kernels.map((kernel) => {
    const reads = buffersOf(readsOf(kernel)), writes = buffersOf(writesOf(kernel));
    const needs = meets(reads, written) || meets(writes, written) || meets(writes, read);
    if (needs) {
      read.clear();
      written.clear();
    }
    for (const buffer of reads) read.add(buffer);
    for (const buffer of writes) written.add(buffer);
    return needs;
  });
}

/** Whether two sets have an element in common. */
function meets(some: ReadonlySet<Buffer>, others: ReadonlySet<Buffer>): boolean {
  return [...some].some((buffer) => others.has(buffer));
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
