/** The loop over time of a scan that runs within a dispatch, and what its workgroups keep in their own memory. */
import type { ScanKernel } from "../../lowering/kernels.ts";
import type { Buffer } from "../../lowering/views.ts";
import type { RowMemory } from "../row_memory.ts";
import { workOf } from "../schedule.ts";
import type { Memory } from "./address.ts";
import { barriersAfter } from "./barriers.ts";
import type { FunctionWriter } from "./writer.ts";

/** Where buffers lie for the functions of a scan. */
export function withRows({ locationOf }: Memory, { places }: RowMemory): Memory {
  return {
    locationOf: (buffer) => {
      const place = places.get(buffer);
      return place ? { in: "local", ...place } : locationOf(buffer);
    },
  };
}

/**
 * Statements with which a workgroup copies its rows, `begin` to `end`, of these buffers out of the device's memory when
 * it enters the scan, or back when it leaves.
 */
export function moveRows(
  { places }: RowMemory,
  buffers: ReadonlySet<Buffer>,
  { locationOf }: Memory,
  direction: "enter" | "leave",
  lanes: number,
): string[] {
  const lines = [...places].flatMap(([buffer, { at, stride }]) => {
    const location = locationOf(buffer);
    if (!buffers.has(buffer) || location.in !== "memory") return [];
    const here = `rowMemory[${at} + item]`, there = `memory[${location.word} + begin * ${stride} + item]`;
    const [to, from] = direction === "enter" ? [here, there] : [there, here];
    return [
      `for (var item = i32(lane); item < (end - begin) * ${stride}; item += ${lanes}) { ${to} = ${from}; }`,
    ];
  });
  if (lines.length === 0) return [];
  // Rows are copied by others than those that compute with them.
  return direction === "enter" ? [...lines, "workgroupBarrier();"] : ["workgroupBarrier();", ...lines];
}

/**
 * Writes the body of the function of a scan: every kernel of a step in order, with barriers where they need them. With
 * `steps` it does so many from the one in `stepIndex` on.
 */
export function writeScan(
  f: FunctionWriter,
  { length, reverse, rows, body }: ScanKernel,
  { depth, local, steps }: { readonly depth: number; readonly local: RowMemory; readonly steps?: number },
  called: readonly string[],
): void {
  const outer = Array.from({ length: depth }, (_, loop) => `, t${loop}`).join("");
  const range = steps === undefined
    ? `var step = 0; step < ${length}`
    : `var step = stepIndex.x; step < min(stepIndex.x + ${steps}, ${length})`;
  f.block(`for (${range}; step++)`, () => {
    f.line(`let t${depth} = ${reverse ? `${length - 1} - step` : "step"};`);
    body.forEach((kernel, index) => {
      const units = rows > 0 ? "begin, end" : `0, ${workOf(kernel).units}`;
      f.line(`${called[index]}(${units}, lane, lanes${outer}, t${depth});`);
      f.lines(...barriersAfter(kernel, body, local));
    });
  });
}
