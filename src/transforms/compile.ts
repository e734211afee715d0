/** `compile`: a function becomes an Executable of a backend, once per shape of its arguments. */
import { checkFunction, checkList } from "../describe.ts";
import { type Device, type Devices, devicesFor } from "../../kernels/mod.ts";
import { DeviceLost, type Executable, type Input } from "../../kernels/backend.ts";
import { checkOptions, quoted } from "../nearest.ts";
import { giveTurn, turnClock } from "../pause.ts";
import { isTracing, traceFlat } from "../program/trace.ts";
import type { Program } from "../program/types.ts";
import { type HostTensor, isTensor, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import {
  checkSameStructure,
  flattenTree,
  leavesOf,
  mapTree,
  printPath,
  printStructure,
  type Structure,
  unflattenTree,
} from "../tree/tree.ts";
import { explainProgram } from "./explain.ts";
import { optimise } from "./optimise/mod.ts";

export { DeviceLost, DeviceOutOfMemory } from "../../kernels/backend.ts";
export { checkDevice } from "../../kernels/mod.ts";
export type { Device, WasmChoice, WasmOptions, WebGpuChoice, WebGpuOptions } from "../../kernels/mod.ts";

/** How a function is compiled. */
export interface CompileOptions {
  /** The backend by name, or `auto` (default): the fastest that this machine can run. */
  readonly device?: Device;
  /** Indices of arguments whose device memory a call may overwrite; such tensors are unusable afterwards. */
  readonly donate?: readonly number[];
  /** Whether results stay on the device: all of them, or the elements of a returned array by index. Default none. */
  readonly keep?: boolean | readonly number[];
  /** Specs of the arguments: traced once with these, so that symbolic sizes stay open; default: per shape. */
  readonly specs?: readonly unknown[];
}

/** A compiled function. */
export interface Compiled<Args extends readonly unknown[], Result> extends Disposable {
  /** Runs it; arguments are trees of tensors on the host or on this device. */
  (...args: Args): Promise<Result>;
  /** Runs it now; throws where blocking is impossible, or before the first asynchronous call with these shapes. */
  sync(...args: Args): Result;
  /** The name of the backend: that of the last call, or before the first the one that would be asked first. */
  readonly device: string;
  /** What `explain` prints. */
  explain(...args: readonly unknown[]): string;
  /** The optimised Program for arguments of these specs. */
  program(...args: readonly unknown[]): Program;
}

interface Entry {
  /** The structure of the arguments and their specs, by which a later call finds this entry at once. */
  readonly given: { readonly structure: Structure; readonly specs: readonly Spec[] };
  /** As traced, before any pass. */
  readonly traced: TracedFunction;
  readonly executable: Executable;
  readonly structure: Structure;
  /** The name of the backend. */
  readonly device: string;
  /** The device, and why it was chosen. */
  readonly choice: string;
}

/** By what an entry is found: the device on which an argument lies, if one does, and the specs of the arguments. */
interface Key {
  readonly device: string | undefined;
  readonly specs: string;
}

function textOf({ device = "the host", specs }: Key): string {
  return `${device} ${specs}`;
}

/** A function traced: its Program, and the structure of what it returns. */
export interface TracedFunction {
  /** The function over the leaves of its arguments, before any optimisation. */
  readonly program: Program;
  /** How the outputs of the Program make up what the function returns. */
  readonly structure: Structure;
  /** What passes did before derivatives were taken, for people. */
  readonly notes: readonly string[];
}

/**
 * Traces a function of trees of tensors.
 *
 * @param fn Pure and synchronous.
 * @param args Tensors or specs; symbolic sizes stay symbols of the Program.
 */
export function trace(fn: (...args: never[]) => unknown, ...args: readonly unknown[]): TracedFunction {
  checkFunction("trace", fn);
  const { leaves, structure } = flattenTree<Spec>(args, "arguments");
  const { program, result, notes } = traceFlat(leaves, (tracers) => {
    const returned = fn(...unflattenTree<never[]>(structure, tracers));
    if (returned instanceof Promise) {
      returned.catch(() => {}); // what it meets once this trace has ended is nobody's concern
      throw new TypeError("Cannot trace an async function: it must be pure and synchronous");
    }
    const output = flattenTree<Tensor>(returned, "result");
    return { outputs: output.leaves, result: output.structure };
  });
  return { program, structure: result, notes };
}

/**
 * Compiles a pure function of trees of tensors.
 *
 * @param fn Pure and synchronous; what it closes over is compiled in as constants.
 * @returns An async function of the same arguments. It compiles once per structure and shape of the arguments. Calls in
 *   a loop give timers, sockets and abort signals a turn every 50 milliseconds or so; during a call there is none.
 * @throws RangeError for an unknown device, with the known ones, or an unknown option.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compile, item, sum, tensor, type Tensor } from "@cellfold/cellfold";
 * const total = await compile((x: Tensor) => sum(x));
 * assertEquals(item(await total(tensor([1, 2, 3]))), 6);
 * ```
 */
export async function compile<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  options: CompileOptions = {},
): Promise<Compiled<Args, Result>> {
  checkFunction("compile", fn);
  checkOptions("compile", options, ["device", "donate", "keep", "specs"]);
  if (options.specs !== undefined) {
    checkList("compile", options.specs, "specs", "an array with a spec per argument");
  }
  const devices = await devicesFor(options.device);
  const entries = new Map<string, Promise<Entry>>();
  const ready = new Map<string, Entry>();
  const isTurnDue = turnClock();
  let latest: Entry | undefined;
  let disposed = false;

  const build = (args: readonly unknown[]) => {
    return trace(fn as (...args: never[]) => unknown, ...(options.specs ?? args)); // args: Args
  };
  const prepare = (args: readonly unknown[]) => {
    if (disposed) throw new Error("Cannot call a compiled function: it was disposed");
    if (options.specs) {
      checkSameStructure(options.specs, args, { first: "options.specs", second: "the arguments" });
    }
    const { leaves, structure, paths } = flattenTree<Tensor>(args, "arguments");
    leaves.forEach((leaf, index) => checkInput(leaf, devices, () => printPath(paths[index], "arguments")));
    const stored = leaves.find((leaf) => leaf.kind === "device");
    const key: Key = {
      device: stored?.kind === "device" ? stored.device : undefined,
      specs: printStructure(structure) + (options.specs ? "" : leaves.map(printSpec).join()),
    };
    return { key, leaves: leaves as Input[], structure }; // checked just above
  };
  /** The entry of the last call with the leaves of these arguments, if they are of the same specs. */
  const again = (
    args: readonly unknown[],
  ): { readonly entry: Entry; readonly leaves: Input[] } | undefined => {
    if (!latest || disposed) return undefined;
    const { structure, specs } = latest.given;
    const leaves = leavesOf<Tensor>(structure, args);
    const matches = leaves?.every((leaf, index) =>
      isTensor(leaf) && leaf.kind !== "traced" && leaf.dtype === specs[index].dtype &&
      (options.specs !== undefined || sameSizes(leaf.shape, specs[index].shape)) &&
      (leaf.kind === "host" || leaf.device === latest?.device)
    );
    return matches ? { entry: latest, leaves: leaves as Input[] } : undefined; // checked just above
  };
  const create = async (
    args: Args,
    known: (device: string) => Promise<Entry> | undefined,
  ): Promise<Entry> => {
    const traced = build(args);
    const { structure } = traced;
    const program = optimise(traced.program);
    checkIndices("donate arguments", options.donate, args.length);
    const donate = (args as readonly unknown[]).flatMap((arg, index) =>
      flattenTree(arg).leaves.map(() => options.donate?.includes(index) ?? false)
    );
    const keep = keptLeaves(structure, options.keep);
    const { leaves, structure: argumentStructure } = flattenTree<Tensor>(args);
    const given = { structure: argumentStructure, specs: leaves.map(specOf) };
    return await devices.choose(program, leaves, async ({ backend, why }) => {
      const same = known(backend.name);
      if (same) return await same;
      const executable = await backend.compile(program, { donate, keep });
      const choice = `on ${backend.name}: ${why}`;
      return { given, traced, executable, structure, device: backend.name, choice };
    });
  };

  // Calls that come while the first one compiles wait for the same executable; a failure may be tried again.
  const compiled = async (key: Key, args: Args): Promise<Entry> => {
    const at = textOf(key);
    let pending = entries.get(at);
    if (!pending) {
      const elsewhere = (device: string) =>
        device === key.device ? undefined : entries.get(textOf({ ...key, device }));
      entries.set(at, pending = create(args, elsewhere));
    }
    try {
      const entry = await pending;
      if (disposed) {
        entry.executable[Symbol.dispose]();
        throw new Error("Cannot call a compiled function: it was disposed");
      }
      // Later calls find it by its device too: results that stayed there come back as arguments.
      for (const text of [at, textOf({ ...key, device: entry.device })]) {
        entries.set(text, pending);
        ready.set(text, entry);
      }
      return entry;
    } catch (error) {
      entries.delete(at);
      throw error;
    }
  };
  /** What was compiled for a device that is lost is forgotten, so that the next call compiles for a new one. */
  const forgetLost = (error: unknown, entry: Entry): unknown => {
    if (!(error instanceof DeviceLost)) return error;
    for (const [text, other] of ready) {
      if (other !== entry) continue;
      ready.delete(text);
      entries.delete(text);
    }
    if (latest === entry) latest = undefined;
    entry.executable[Symbol.dispose]();
    return error;
  };
  const run = async (args: Args): Promise<Result> => {
    const same = again(args);
    let { entry, leaves } = same ?? {};
    if (!entry || !leaves) {
      const prepared = prepare(args);
      leaves = prepared.leaves;
      entry = ready.get(textOf(prepared.key)) ?? await compiled(prepared.key, args);
      latest = entry;
    }
    try {
      const outputs = await entry.executable.run(leaves);
      if (isTurnDue()) await giveTurn(); // not before: what was given is read at once
      return unflattenTree<Result>(entry.structure, outputs);
    } catch (error) {
      throw forgetLost(error, entry);
    }
  };
  // Throws at once inside a trace, where nobody could wait for a rejection.
  const call = (...args: Args): Promise<Result> => {
    if (isTracing()) {
      throw new TypeError(
        "Cannot call a compiled function while another function is traced: call the function it was made from",
      );
    }
    return run(args);
  };
  const sync = (...args: Args): Result => {
    let found = again(args);
    if (!found) {
      const { key, leaves } = prepare(args);
      const entry = ready.get(textOf(key));
      if (!entry) {
        throw new Error(
          "Cannot call sync: call the compiled function once with await for these shapes first",
        );
      }
      found = { entry, leaves };
    }
    const { entry, leaves } = found;
    if (!entry.executable.runSync) {
      throw new Error("Cannot call sync: the device cannot block; use await");
    }
    try {
      return unflattenTree<Result>(entry.structure, entry.executable.runSync(leaves));
    } catch (error) {
      throw forgetLost(error, entry);
    }
  };
  const compiledCall = Object.assign(call, {
    sync,
    device: "", // defined below
    program: (...args: readonly unknown[]) =>
      optimise(build(mapTree(args, (leaf: Spec) => specOf(leaf))).program),
    explain: (...args: readonly unknown[]) => {
      if (args.length > 0) return explainProgram(build(mapTree(args, (leaf: Spec) => specOf(leaf))));
      if (ready.size === 0) {
        throw new Error("Cannot explain: nothing was compiled yet; call it first, or give specs");
      }
      return [...new Set(ready.values())].map(({ traced, executable, choice }) =>
        `${choice}\n\n${explainProgram(traced, executable)}`
      ).join("\n\n");
    },
    [Symbol.dispose]: () => {
      for (const { executable } of new Set(ready.values())) executable[Symbol.dispose]();
      ready.clear();
      entries.clear();
      latest = undefined;
      disposed = true;
    },
  });
  return Object.defineProperty(compiledCall, "device", {
    get: () => latest?.device ?? devices.backends[0].name,
  });
}

/** Whether two shapes are equal; symbols only where they are the same object. */
function sameSizes(a: Spec["shape"], b: Spec["shape"]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

function checkInput(leaf: Spec, { backends }: Devices, where: () => string): void {
  if (!isTensor(leaf) || leaf.kind === "traced") {
    throw new TypeError(`Cannot run with ${printSpec(leaf)} at ${where()}: it has no values`);
  }
  if (leaf.kind === "device" && !backends.some(({ name }) => name === leaf.device)) {
    throw new TypeError(
      `Cannot run on ${backends[0].name} with ${printSpec(leaf)} at ${where()}: it is on the device ` +
        `${leaf.device}; read it with await toHost(tensor) first`,
    );
  }
}

function checkIndices(what: string, indices: readonly number[] | undefined, count: number): void {
  if (indices === undefined) return;
  checkList(what, indices, "what is given", "an array of indices");
  for (const index of indices) {
    if (Number.isInteger(index) && index >= 0 && index < count) continue;
    throw new RangeError(`Cannot ${what} by index ${quoted(index)}: there are ${count}`);
  }
}

function keptLeaves(structure: Structure, keep: CompileOptions["keep"]): boolean[] {
  const count = (node: Structure): number =>
    node.kind === "leaf" ? 1 : node.items.reduce((n, item) => n + count(item), 0);
  if (typeof keep === "boolean" || keep === undefined) return new Array(count(structure)).fill(keep ?? false);
  if (structure.kind !== "array") {
    throw new TypeError("Cannot keep results by index: the function does not return an array");
  }
  checkIndices("keep results", keep, structure.items.length);
  return structure.items.flatMap((item, index) => new Array(count(item)).fill(keep.includes(index)));
}

/**
 * A tree with every tensor on the host; tensors that are there already are returned as they are.
 *
 * @throws Error if a device tensor was disposed.
 */
export async function toHost<T>(tree: T): Promise<T> {
  const { leaves, structure } = flattenTree<Tensor>(tree);
  const read = await Promise.all(
    leaves.map((leaf): Promise<HostTensor> | Tensor => leaf.kind === "device" ? leaf.read() : leaf),
  );
  return unflattenTree<T>(structure, read);
}
