/**
 * The WebGPU backend: any Program as WGSL, written at run time. Lowering (`../lowering`) turns equations into kernels
 * over views, `wgsl/` writes them, a scan as one dispatch; `executable.ts` submits them.
 */
import type { Backend, DeviceEntry } from "../backend.ts";
import { checkOneOf } from "../device_options.ts";
import { float64In } from "../lowering/dtypes.ts";
import { isSoftwareAdapter, type ShapeChoice, WebGpuDevice, type WebGpuOptions } from "./device.ts";
import { WebGpuExecutable } from "./executable.ts";

export type { WebGpuOptions } from "./device.ts";

/** The device webgpu with options of its own. */
export interface WebGpuChoice extends WebGpuOptions {
  /** The backend. */
  readonly name: "webgpu";
}

/** The machine's adapter, asked for once; null where there is none. */
let adapter: Promise<GPUAdapter | null> | undefined;
const requestAdapter = () =>
  adapter ??= globalThis.navigator?.gpu?.requestAdapter().catch(() => null) ?? Promise.resolve(null);

async function findMissing(): Promise<string | undefined> {
  if (!globalThis.navigator?.gpu) {
    return "there is no WebGPU (navigator.gpu), which a page has over https only";
  }
  return await requestAdapter() === null ? "there is no WebGPU adapter" : undefined;
}

/** A WebGPU backend; its device is opened when a Program is compiled. */
export function createWebGpu(options: WebGpuOptions & ShapeChoice = {}, name = "webgpu"): Backend {
  let opening: Promise<WebGpuDevice> | undefined;
  let device: WebGpuDevice | undefined;
  const open = async () => {
    // A device that was lost stays so; whoever compiles anew gets another one.
    if (device?.isLost) device = opening = undefined;
    opening ??= WebGpuDevice.open(name, options);
    opening.catch(() => opening = undefined); // it may be tried again
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
    compile: async (program, options) => new WebGpuExecutable(await open(), program, options),
    upload: (tensor) => {
      if (!device) throw new Error(`Cannot put a tensor on ${name}: compile something for it first`);
      return device.upload(tensor);
    },
  };
}

/** The graphics processor. */
export const webgpu: Backend = createWebGpu();

/** The device, for the list of all. */
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
