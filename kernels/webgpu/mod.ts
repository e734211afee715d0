/**
 * The WebGPU backend: any Program as WGSL, written at run time; a call is one submission.
 *
 * `schedule.ts` turns kernels into dispatches; `dispatches.ts` and `group.ts` decide how each is done, for
 * a device as `device_shape.ts` describes it. `wgsl/` decides nothing: it writes a module for each dispatch. All
 * tensors lie in one buffer, which `device.ts` divides into regions, enlarges, and releases when nothing is in
 * use. Memory grows within an error scope: the old buffer stays until the new one has its content, so a call that
 * does not fit fails alone. With `precision: "f16"`, values that exist for every step are stored as half floats in
 * a buffer of their own.
 *
 * Code is written once for all sizes. It reads places of buffers, open sizes and what depends on them from the
 * words of a table (`wgsl/table.ts`), which each call writes. `code.ts` keeps a Program's pipelines. `bound.ts`
 * plans memory and workgroups for a set of sizes, which is arithmetic. How work is divided (tiles, what runs
 * together, how scans run) suits the sizes of the call for which it was decided, and is kept for sizes from a 64th
 * of these up to three times as large; beyond that it is decided anew, as a variant that shares all pipelines
 * that come out the same. How a sum is rounded depends on its own length alone, never on the calls before. Sums
 * that are too long for one kernel are split, which needs a known length: such sizes have code of their own.
 *
 * What lives during a call only, such as intermediate results, lies in memory that all executables share
 * (`shared.ts`).
 *
 * Batches go in through `queue.writeBuffer`, whose staging the browser recycles in the order of submissions,
 * so that nothing waits; results come out through the buffers that `readback.ts` keeps mapped. A device error
 * is thrown by the call that caused it if that call reads a result, else by the next call.
 *
 * When few results are reduced from many elements, a team of invocations shares the elements of each result
 * (`wgsl/reduce.ts`). Teams combine their parts in workgroup memory by halving, with two barriers per round,
 * or with the feature `subgroups` in two barriers in all. `explain` says which.
 *
 * Adapters that compute on the CPU get different code (`DeviceShape` in `device_shape.ts`). Mesa's llvmpipe
 * unrolls every loop with a constant count of up to 32 iterations, and takes 2 ms to compile each read and
 * write: there, loop bounds contain an addend that is known only at run time, tiles of products are larger,
 * and only sums of a thousand elements or more have teams. It also silently stops the loops of an invocation
 * after 65,535 iterations; `iterations.ts` splits whatever would need more.
 */
import type { Backend, DeviceEntry } from "../backend.ts";
import { checkOneOf } from "../device_options.ts";
import { float64In } from "../lowering/dtypes.ts";
import { findMissing, isSoftwareAdapter, requestAdapter } from "./adapter.ts";
import type { WebGpuDevice } from "./device.ts";
import type { ShapeChoice, WebGpuOptions } from "./options.ts";

export type { WebGpuOptions } from "./options.ts";

/** The device webgpu with options. */
export interface WebGpuChoice extends WebGpuOptions {
  /** The backend. */
  readonly name: "webgpu";
}

/** A WebGPU backend; its device is opened when a Program is compiled. */
export function createWebGpu(options: WebGpuOptions & ShapeChoice = {}, name = "webgpu"): Backend {
  let opening: Promise<WebGpuDevice> | undefined;
  let device: WebGpuDevice | undefined;
  const open = async () => {
    // A lost device stays lost; the next compilation opens a new one.
    if (device?.isLost) device = opening = undefined;
    opening ??= import("./device.ts").then(({ WebGpuDevice }) => WebGpuDevice.open(name, options));
    opening.catch(() => opening = undefined); // opening may be retried
    return device = await opening;
  };
  return {
    name,
    supports: (program) => float64In(program) === undefined,
    available: async () => await findMissing() === undefined,
    missing: findMissing,
    hasGpu: async () => {
      const adapter = await requestAdapter();
      return adapter !== null && !isSoftwareAdapter(adapter);
    },
    compile: async (program, options) => {
      const { WebGpuExecutable } = await import("./executable.ts"); // most programs never need it
      return new WebGpuExecutable(await open(), program, options);
    },
    upload: async (tensor) => {
      const device = await open();
      return await device.withRoom(() => device.upload(tensor));
    },
  };
}

/** The GPU. */
export const webgpu: Backend = createWebGpu();

/** The device, for the list of all devices. */
export const webGpuDevice: DeviceEntry = {
  backend: webgpu,
  optionNames: ["schedule", "precision"],
  configure: ({ schedule = "auto", precision = "f32" }: WebGpuOptions) => {
    checkOneOf("webgpu", "schedule", schedule, ["auto", "rows", "steps"]);
    checkOneOf("webgpu", "precision", precision, ["f32", "f16"]);
    return {
      text: `webgpu(schedule: ${schedule}, precision: ${precision})`,
      create: (name) => createWebGpu({ schedule, precision }, name),
    };
  },
};
