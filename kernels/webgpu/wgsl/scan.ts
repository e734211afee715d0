/** The loop over time of a scan that runs within a dispatch, and what its workgroups keep in their memory. */
import { type ScanKernel } from "../../lowering/kernels.ts";
import { addDims } from "../../../src/tensor/dims.ts";
import type { Buffer } from "../../lowering/views.ts";
import type { Locations, RowMemory } from "./address.ts";
import { barriersAfter } from "./barriers.ts";
import type { Site, WrittenKinds } from "./kind.ts";
import { inTurn } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";

/** Where buffers lie for the functions of a scan. */
export function withRows({ locationOf, table }: Locations, { places }: RowMemory): Locations {
  return {
    table,
    locationOf: (buffer) => {
      const place = places.get(buffer);
      return place ? { in: "local", ...place } : locationOf(buffer);
    },
  };
}

/**
 * Statements with which a workgroup copies its rows `[begin, end)` of these buffers from the device's memory
 * when it enters the scan, or back when it leaves.
 */
export function moveRows(
  { places }: RowMemory,
  buffers: ReadonlySet<Buffer>,
  { locationOf, table }: Locations,
  direction: "enter" | "leave",
  lanes: number,
): string[] {
  const lines = [...places].flatMap(([buffer, { at, stride }]) => {
    const location = locationOf(buffer);
    if (!buffers.has(buffer) || location.in !== "memory") return [];
    const here = `rowMemory[${at} + item]`, there = `memory[${table.at(buffer)} + begin * ${stride} + item]`;
    const [to, from] = direction === "enter" ? [here, there] : [there, here];
    return [
      `for (var item = i32(lane); item < (end - begin) * ${stride}; item += ${lanes}) { ${to} = ${from}; }`,
    ];
  });
  if (lines.length === 0) return [];
  // The invocations that copy rows are not those that compute with them.
  return direction === "enter" ? [...lines, "workgroupBarrier();"] : ["workgroupBarrier();", ...lines];
}

/**
 * Runs every kernel of a step in order, with barriers where they are needed. With `steps` it runs that many
 * steps, starting at the one in `stepIndex`.
 */
function writeScan(
  f: FunctionWriter,
  { length, reverse, rows, body }: ScanKernel,
  { depth, local, steps, called }: Site,
): void {
  const outer = Array.from({ length: depth }, (_, loop) => `, t${loop}`).join("");
  const range = steps === undefined
    ? `var step = 0; step < ${f.size(length)}`
    : `var step = stepIndex.x; step < min(stepIndex.x + ${steps}, ${f.size(length)})`;
  f.block(`for (${range}; step++)`, () => {
    f.line(`let t${depth} = ${reverse ? `${f.size(addDims(length, -1))} - step` : "step"};`);
    body.forEach((kernel, index) => {
      const units = rows !== 0 ? "begin, end" : `0, ${f.size(called[index].units)}`;
      f.line(`${called[index].name}(${units}, lane, lanes${outer}, t${depth});`);
      f.lines(...barriersAfter(kernel, body, local));
    });
  });
}

/** How this kind is written. */
export const scanWriting: WrittenKinds<ScanKernel> = {
  scan: {
    write: writeScan,
    units: ({ rows }) => rows === 0 ? 1 : rows,
    tripCount: (_, __, inside) => {
      const { all, idle } = inTurn(inside);
      return { all: 1 + all, idle: 1 + idle };
    },
  },
};
