/** The devices by name, and those that `auto` chooses from. Each device and its options are in its folder. */
import type { Program } from "../src/program/types.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import { unknownName } from "../src/known_names.ts";
import { type Backend, type DeviceEntry, DeviceUnavailable } from "./backend.ts";
import { type Choice, chooseBackend } from "./choose.ts";
import { checkOptionNames } from "./device_options.ts";
import { referenceDevice } from "./reference/mod.ts";
import { warnOnce } from "./warn.ts";
import { type NativeChoice, nativeDevice } from "./native/mod.ts";
import { type WasmChoice, wasmDevice } from "./wasm/mod.ts";
import { type WebGpuChoice, webGpuDevice } from "./webgpu/mod.ts";

export type { Choice } from "./choose.ts";
export type { NativeChoice, NativeOptions } from "./native/mod.ts";
export type { WasmChoice, WasmOptions } from "./wasm/mod.ts";
export type { WebGpuChoice, WebGpuOptions } from "./webgpu/mod.ts";

/** Every device. `auto` prefers earlier ones. */
const devices: readonly DeviceEntry[] = [nativeDevice, wasmDevice, webGpuDevice, referenceDevice];

/** The names of devices; `auto` is the fastest that this machine can run. */
export type DeviceName = "auto" | "native" | "wasm" | "webgpu" | "reference";

/** The choice of a device: by name, by name with options, or a backend of your own. */
export type Device = DeviceName | NativeChoice | WasmChoice | WebGpuChoice | Backend;

const backends = devices.map(({ backend }) => backend);

/** The names by which `device` chooses a backend. */
export function backendNames(): string[] {
  return backends.map(({ name }) => name);
}

/** Backends created for options; equivalent options give the same device, so that calls can share tensors. */
const configured = new Map<string, Backend>();

/** Whether a choice is a backend itself, and not the name of one. */
function isBackend(device: Device): device is Backend {
  return typeof device === "object" && device !== null && "compile" in device && "missing" in device;
}

/**
 * The backend of this name or choice, whether or not this machine can run it.
 *
 * @throws RangeError if there is none.
 */
function namedBackend(device: Device): Backend {
  if (isBackend(device)) return device;
  const name = typeof device === "string" ? device : device?.name ?? device;
  const entry = devices.find(({ backend }) => backend.name === name);
  if (!entry) throw unknownName("device", name, ["auto", ...backendNames()]);
  if (typeof device === "string") return entry.backend;
  const { name: _, ...options } = device;
  checkOptionNames(name, options, entry.optionNames);
  if (!entry.configure) return entry.backend;
  const { text, create } = entry.configure(options);
  let backend = configured.get(text);
  if (!backend) configured.set(text, backend = create(text));
  return backend;
}

/**
 * Throws unless there is a device of this name and its options are valid. The first call finds out whether
 * this machine can run it.
 *
 * @throws RangeError for an unknown device or option, with the nearest known one.
 */
export function checkDevice(device: Device = "auto"): void {
  if (device !== "auto") namedBackend(device);
}

/**
 * The backend of this name or choice.
 *
 * @throws RangeError if there is none, or this machine cannot run it, with what it lacks.
 */
export async function findBackend(device: Device): Promise<Backend> {
  const backend = namedBackend(device);
  const missing = await backend.missing();
  if (missing === undefined) return backend;
  const name = typeof device === "string" ? device : device.name;
  throw new RangeError(`Cannot use the device ${name}: ${missing}`);
}

/** The devices that compiled functions may run on: the named one, or all that `auto` chooses from. */
export interface Devices {
  /** The candidates; for `auto` those that this machine can run, with `reference` as the last. */
  readonly backends: readonly Backend[];
  /**
   * The result of `compile` for the backend that is best for a call with these inputs. If that backend's
   * device cannot be opened, `auto` tries the others; a backend chosen by name throws an error that says what
   * is missing.
   */
  choose<Result>(
    program: Program,
    inputs: readonly Tensor[],
    compile: (choice: Choice) => Promise<Result>,
  ): Promise<Result>;
}

/**
 * The devices for a choice. For `auto`, this does not check for a GPU yet.
 *
 * @throws RangeError if there is no device of this name, or this machine cannot run it, with what it lacks.
 */
export async function devicesFor(device: Device = "auto"): Promise<Devices> {
  if (device !== "auto") return devicesAmong([await findBackend(device)], []);
  const offered = backends.filter((each) => each.isAllowed?.() ?? true);
  const missing = await Promise.all(offered.map((each) => each.hasGpu ? undefined : each.missing()));
  const notes = offered.flatMap(({ name }, index) => {
    const why = missing[index];
    return why === undefined ? [] : [unavailableNote(name, why)];
  });
  return devicesAmong(offered.filter((_, index) => missing[index] === undefined), notes);
}

/**
 * Devices of these backends; `notes` say why others are missing. For tests, beside {@linkcode devicesFor}.
 */
export function devicesAmong(candidates: readonly Backend[], notes: readonly string[]): Devices {
  let left = { backends: candidates, notes };
  return {
    get backends() {
      return left.backends;
    },
    async choose(program, inputs, compile) {
      for (;;) {
        const { backend, why } = await chooseBackend(left.backends, program, inputs);
        try {
          return await compile({ backend, why: [why, ...left.notes].join("; ") });
        } catch (error) {
          if (!(error instanceof DeviceUnavailable) || left.backends.length === 1) throw error;
          left = {
            backends: left.backends.filter((other) => other !== backend),
            notes: [...left.notes, unavailableNote(backend.name, error.why)],
          };
        }
      }
    },
  };
}

/** The warning that `auto` goes on without a backend, printed to the console once. */
function unavailableNote(name: string, why: string): string {
  const note = `${name} cannot run here: ${why}`;
  // One line, also where it cites several of a compiler.
  warnOnce(`${note.replaceAll(/\s*\n\s*/g, " ")}. The device auto means another one, which may be slower`);
  return note;
}
