/**
 * The WebGPU backend: any Program as WGSL, written at run time. Lowering (`../lowering`) turns equations into kernels
 * over views, `wgsl/` writes them, a scan as one dispatch; `executable.ts` submits them.
 */
import type { Backend } from "../backend.ts";
import { float64In } from "../lowering/call.ts";
import { WebGpuDevice } from "./device.ts";
import { WebGpuExecutable } from "./executable.ts";

/** A WebGPU backend; its device is opened when a Program is compiled. */
export function createWebGpu(name = "webgpu"): Backend {
  let opening: Promise<WebGpuDevice> | undefined;
  let device: WebGpuDevice | undefined;
  const open = async () => device ??= await (opening ??= WebGpuDevice.open(name));
  return {
    name,
    supports: (program) => float64In(program) === undefined,
    available: async () => await navigator.gpu?.requestAdapter() != null,
    compile: async (program, options) => new WebGpuExecutable(await open(), program, options),
    upload: (tensor) => {
      if (!device) throw new Error(`Cannot put a tensor on ${name}: compile something for it first`);
      return device.upload(tensor);
    },
  };
}

/** The graphics processor. */
export const webgpu: Backend = createWebGpu();
