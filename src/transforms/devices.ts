/** What the rest of the library knows of devices: their names and options, and how they fail. */
import type { Device } from "../../kernels/mod.ts";

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

/** Numbers of backends. */
const numbers = new WeakMap<object, number>();
let count = 0;

/** A text that is the same for the same device, however its options are written; of a backend, one that no other has. */
export function keyOfDevice(device: Device = "auto"): string {
  if (typeof device === "string") return device;
  if (!("compile" in device)) return JSON.stringify(Object.entries(device).sort());
  const known = numbers.get(device) ?? count++;
  numbers.set(device, known);
  return `backend ${known}`;
}
