/** That modules use subgroups where the shape of the device has them and they are of use. Chromium runs such modules. */
import { assertEquals } from "@std/assert";
import { max, mul, spec, sum, type Tensor, trace } from "../../../mod.ts";
import { lowerProgram } from "../../../kernels/lowering/lower.ts";
import { shapeOf } from "../../../kernels/webgpu/device_shape.ts";
import { dispatchesOf } from "../../../kernels/webgpu/dispatches.ts";
import { sizesAt } from "../../../kernels/lowering/kinds/kind.ts";
import type { Locations } from "../../../kernels/webgpu/wgsl/address.ts";
import { type Task, writeModule } from "../../../kernels/webgpu/wgsl/module.ts";
import { Table } from "../../../kernels/webgpu/wgsl/table.ts";

const LIMITS = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeWorkgroupStorageSize: 16384,
};

/** What is written for a function of one argument, on a device with subgroups or without. */
function written(fn: (x: Tensor) => Tensor, shape: readonly number[], subgroups: boolean) {
  const { program } = trace(fn, spec(shape));
  const device = shapeOf(LIMITS, { isSoftware: false, threads: 2, subgroups });
  const situation = { device, sizes: sizesAt({}) };
  const tasks = dispatchesOf(lowerProgram(program, { columns: 1 }).kernels, {
    ...situation,
    workgroupBytes: LIMITS.maxComputeWorkgroupStorageSize,
    elsewhere: () => false,
  });
  const memory: Locations = { table: new Table(), locationOf: () => ({ in: "memory" }) };
  // None is repeated.
  const modules = tasks.map((task) => writeModule(task as Task, 0, { ...device, memory }));
  const code = modules.map(({ code }) => code).join("");
  return {
    code,
    operations: [...code.matchAll(/subgroup\w+/g)].map(([found]) => found),
    barriers: code.match(/workgroupBarrier/g)?.length ?? 0,
    flags: modules.map(({ subgroups }) => subgroups),
  };
}

const rank = ["subgroups", "subgroupExclusiveAdd", "subgroupAdd"];

Deno.test("a long reduction combines the parts of a workgroup by subgroups where the device has them", () => {
  const total = written(sum, [100_003], true);
  assertEquals(total.operations, [...rank, "subgroupAdd"]);
  assertEquals(total.code.match(/^enable subgroups;$/gm)?.length, 1);
  assertEquals([total.barriers, total.flags], [2, [true]]);
  const largest = written((x) => max(x, { axes: 1 }), [3, 40_009], true);
  assertEquals(largest.operations, [...rank, "subgroupMax", "subgroupAdd"]); // the last one for NaN
});

Deno.test("teams within a workgroup do so where they are fewer than the halvings of one", () => {
  const fewest = written((x) => sum(x, { axes: 1 }), [3, 1001], true);
  assertEquals([fewest.operations, fewest.flags], [[...rank, "subgroupAdd"], [true]]);
  const most = written((x) => sum(x, { axes: 1 }), [40, 1001], true);
  assertEquals([most.operations, most.flags], [[], [false]]);
});

Deno.test("nothing of subgroups is written where the device has none, or nothing is reduced by teams", () => {
  for (const shape of [[100_003], [1001], [40]]) {
    const { operations, flags, code } = written(sum, shape, false);
    assertEquals([operations, flags], [[], [false]]);
    assertEquals(code.includes("var half"), true);
  }
  const { operations, flags } = written((x) => mul(x, 2), [100_003], true);
  assertEquals([operations, flags], [[], [false]]);
});
