/** The backends by name, those with options, and those that `auto` chooses from. */
import type { Backend } from "./backend.ts";
import { reference } from "./reference/mod.ts";
import { unknownName } from "../src/nearest.ts";
import { createWasm, wasm, type WasmOptions } from "./wasm/mod.ts";
import { createWebGpu, webgpu, type WebGpuOptions } from "./webgpu/mod.ts";

export { type Choice, chooseBackend } from "./choose.ts";
export type { WasmOptions } from "./wasm/mod.ts";
export type { WebGpuOptions } from "./webgpu/mod.ts";

/** The device wasm with options of its own. */
export interface WasmChoice extends WasmOptions {
  /** The backend. */
  readonly name: "wasm";
}

/** The device webgpu with options of its own. */
export interface WebGpuChoice extends WebGpuOptions {
  /** The backend. */
  readonly name: "webgpu";
}

/** The choice of a device: `auto` for the fastest that this machine can run, a backend's name, or one with options. */
export type Device = string | WasmChoice | WebGpuChoice;

/** Every backend. */
const backends: readonly Backend[] = [wasm, webgpu, reference];

/** The names by which `device` chooses a backend. */
export function backendNames(): string[] {
  return backends.map(({ name }) => name);
}

/**
 * The backends for `auto` that this machine can run; `reference` is always among them, as the last. Whether there is a
 * graphics processor is not looked for yet.
 */
export async function availableBackends(): Promise<Backend[]> {
  const available = await Promise.all(backends.map((each) => each.hasGpu ? true : each.available()));
  return backends.filter((_, index) => available[index]);
}

/** Backends made for options; the same options give the same device, so that calls can share tensors. */
const configured = new Map<string, Backend>();

function configuredAs(text: string, create: (name: string) => Backend): Backend {
  let backend = configured.get(text);
  if (!backend) configured.set(text, backend = create(text));
  return backend;
}

function checkDeviceOptions(name: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((option) => !known.includes(option));
  if (unknown !== undefined) throw unknownName(`option of the device ${name}`, unknown, known);
}

function checkWhole(name: string, option: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return;
  const what = option === "threads" ? `${value} threads` : `${option} ${value}`;
  throw new RangeError(`Cannot use the device ${name} with ${what}: expected a whole number from ${least}`);
}

function checkOneOf(name: string, option: string, value: string | undefined, known: readonly string[]): void {
  if (value !== undefined && !known.includes(value)) {
    throw unknownName(`${option} of the device ${name}`, value, known);
  }
}

function wasmWith({ name, ...options }: WasmChoice): Backend {
  checkDeviceOptions(name, options, ["threads", "relaxed", "shareFrom"]);
  const { threads, relaxed, shareFrom } = options;
  checkWhole(name, "threads", threads, 1);
  checkWhole(name, "shareFrom", shareFrom, 0);
  const shared = shareFrom === undefined ? "" : `, shareFrom: ${shareFrom}`;
  const text = `${name}(threads: ${threads ?? "default"}, relaxed: ${relaxed ?? "default"}${shared})`;
  return configuredAs(text, (text) => createWasm(options, text));
}

function webGpuWith({ name, ...options }: WebGpuChoice): Backend {
  checkDeviceOptions(name, options, ["schedule", "precision"]);
  const { schedule = "auto", precision = "f32" } = options;
  checkOneOf(name, "schedule", schedule, ["auto", "rows", "steps"]);
  checkOneOf(name, "precision", precision, ["f32", "f16"]);
  return configuredAs(
    `${name}(schedule: ${schedule}, precision: ${precision})`,
    (text) => createWebGpu({ schedule, precision }, text),
  );
}

/**
 * The backend of this name or choice.
 *
 * @throws RangeError if there is none, or this machine cannot run it.
 */
export async function findBackend(device: Device): Promise<Backend> {
  const name = typeof device === "string" ? device : device?.name ?? device;
  const named = backends.find((candidate) => candidate.name === name);
  if (!named) throw unknownName("device", name, ["auto", ...backendNames()]);
  const backend = typeof device === "string"
    ? named
    : device.name === "wasm"
    ? wasmWith(device)
    : device.name === "webgpu"
    ? webGpuWith(device)
    : named;
  if (!await backend.available()) {
    throw new RangeError(`Cannot use the device ${name}: this machine cannot run it`);
  }
  return backend;
}
