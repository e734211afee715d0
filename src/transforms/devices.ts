/** What the rest of the library knows of devices: their names and options, and how they fail. */
export { DeviceLost, DeviceOutOfMemory } from "../../kernels/backend.ts";
export { checkDevice } from "../../kernels/mod.ts";
export type {
  Device,
  DeviceName,
  NativeChoice,
  NativeOptions,
  WasmChoice,
  WasmOptions,
  WebGpuChoice,
  WebGpuOptions,
} from "../../kernels/mod.ts";
