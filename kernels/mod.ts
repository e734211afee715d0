/** The backends by name, and which one `auto` means. */
import type { Backend } from "./backend.ts";
import { reference } from "./reference/mod.ts";
import { unknownName } from "../src/nearest.ts";
import { createWasm, wasm, type WasmOptions } from "./wasm/mod.ts";
import { webgpu } from "./webgpu/mod.ts";

export type { WasmOptions } from "./wasm/mod.ts";

/** A device with options of its own. */
export interface WasmChoice extends WasmOptions {
  /** The backend. */
  readonly name: "wasm";
}

/** The choice of a device: `auto` for the fastest that this machine can run, a backend's name, or one with options. */
export type Device = string | WasmChoice;

/** Every backend, and those that `auto` chooses from, the fastest first. */
const backends: readonly Backend[] = [wasm, webgpu, reference];
const automatic: readonly Backend[] = [wasm, reference];

/** The names by which `device` chooses a backend. */
export function backendNames(): string[] {
  return backends.map(({ name }) => name);
}

/** The backends for `auto` that this machine can run, the fastest first; `reference` is always among them. */
export async function availableBackends(): Promise<Backend[]> {
  const available = await Promise.all(automatic.map((backend) => backend.available()));
  return automatic.filter((_, index) => available[index]);
}

/** Backends made for options; the same options give the same device, so that calls can share tensors. */
const configured = new Map<string, Backend>();

function withOptions({ name, threads, relaxed, shareFrom, ...others }: WasmChoice): Backend {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw unknownName(`option of the device ${name}`, unknown, ["threads", "relaxed", "shareFrom"]);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new RangeError(
      `Cannot use the device ${name} with ${threads} threads: expected a whole number from 1`,
    );
  }
  if (shareFrom !== undefined && !(Number.isInteger(shareFrom) && shareFrom >= 0)) {
    throw new RangeError(
      `Cannot use the device ${name} with shareFrom ${shareFrom}: expected a whole number from 0`,
    );
  }
  const shared = shareFrom === undefined ? "" : `, shareFrom: ${shareFrom}`;
  const text = `${name}(threads: ${threads ?? "default"}, relaxed: ${relaxed ?? "default"}${shared})`;
  let backend = configured.get(text);
  if (!backend) configured.set(text, backend = createWasm({ threads, relaxed, shareFrom }, text));
  return backend;
}

/**
 * The backend of this name or choice.
 *
 * @throws RangeError if there is none, or this machine cannot run it.
 */
export async function findBackend(device: Device): Promise<Backend> {
  const name = typeof device === "string" ? device : device.name;
  const named = backends.find((candidate) => candidate.name === name);
  if (!named) throw unknownName("device", name, ["auto", ...backendNames()]);
  const backend = typeof device === "string" || device.name !== "wasm" ? named : withOptions(device);
  if (!await backend.available()) {
    throw new RangeError(`Cannot use the device ${name}: this machine cannot run it`);
  }
  return backend;
}
