/** `compile`: turns a function into an Executable of a backend, once per shape of its arguments. */
import { checkFunction, checkList } from "../describe.ts";
import { checkDevice, type Device } from "../../kernels/mod.ts";
import { checkOptions } from "../option_names.ts";
import { runPasses } from "../passes/mod.ts";
import { giveTurn, turnClock } from "../pause.ts";
import { type LazyTrace, lazyTrace, trace } from "../program/functions.ts";
import { isTracing } from "../program/trace.ts";
import type { Program } from "../program/types.ts";
import { type Spec, specOf } from "../tensor/tensor.ts";
import { mapTree, unflattenTree } from "../tree/tree.ts";
import { explainPasses, explainProgram, type Explanation } from "./explain.ts";
import {
  createForms,
  describeForms,
  disposeForms,
  findLatest,
  findOrCompile,
  findReady,
  forgetIfLost,
  type Forms,
  runForm,
  type Source,
} from "./forms.ts";

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

/** How a function is compiled. */
export interface CompileOptions {
  /** The backend by name, or `auto` (default): the fastest that this machine can run. */
  readonly device?: Device;
  /** Indices of arguments whose device memory a call may overwrite; such tensors are unusable afterwards. */
  readonly donate?: readonly number[];
  /**
   * Whether results stay on the device: all of them, or the elements of a returned array by index. Default
   * none.
   */
  readonly keep?: boolean | readonly number[];
  /**
   * Specs of the arguments: the function is traced once with these, so that symbolic sizes stay open;
   * default: per shape.
   */
  readonly specs?: readonly unknown[];
}

/** A compiled function. */
export interface Compiled<Args extends readonly unknown[], Result> extends Disposable {
  /** Runs it; arguments are trees of tensors on the host or on this device. */
  (...args: Args): Promise<Result>;
  /**
   * Runs it synchronously; throws if blocking is impossible, or before the first asynchronous call with these
   * shapes.
   */
  sync(...args: Args): Result;
  /** The name of the backend of the last call; before the first call, the chosen device, possibly `auto`. */
  readonly device: string;
  /** What `explain` prints. */
  explain(...args: readonly unknown[]): string;
  /** What `explanation` gives. */
  explanation(...args: readonly unknown[]): Explanation;
  /** The optimized Program for arguments of these specs. */
  program(...args: readonly unknown[]): Program;
}

/**
 * Compiles a pure function of trees of tensors.
 *
 * @param fn Pure and synchronous; what it closes over is compiled in as constants.
 * @returns An async function of the same arguments. It compiles once per structure and shape of the
 *   arguments, at the first call with them; what was compiled takes about 64 MiB at most, and what was used
 *   least recently is freed first. Between calls in a loop, timers, sockets and abort signals get a
 *   turn about every 50 milliseconds; during a call they get none.
 * @throws RangeError for an unknown device, with the known ones, or an unknown option. A call throws it if
 *   this machine cannot run the named device, with what is missing.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { compile, item, sum, tensor, type Tensor } from "@cellfold/cellfold";
 * const total = compile((x: Tensor) => sum(x));
 * assertEquals(item(await total(tensor([1, 2, 3]))), 6);
 * ```
 */
export function compile<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  options: CompileOptions = {},
): Compiled<Args, Result> {
  checkFunction("compile", fn);
  checkOptions("compile", options, ["device", "donate", "keep", "specs"]);
  const { device, donate, keep, specs } = options;
  if (specs !== undefined) checkList("compile", specs, "specs", "an array with a spec per argument");
  const traced = fn as (...args: never[]) => unknown; // of Args
  if (specs !== undefined) return compileTrace(lazyTrace(traced, specs), { device, donate, keep });
  return compileSource({ trace: (args) => trace(traced, ...args), device, donate, keep, specs });
}

/** Compiles a function that is traced once, for all sizes that are open in its specs. */
export function compileTrace<Args extends readonly unknown[], Result>(
  { get, specs }: LazyTrace,
  options: Omit<CompileOptions, "specs">,
): Compiled<Args, Result> {
  const { device, donate, keep } = options;
  return compileSource({ trace: get, device, donate, keep, specs });
}

function compileSource<Args extends readonly unknown[], Result>(source: Source): Compiled<Args, Result> {
  checkDevice(source.device);
  const forms = createForms(source);
  const isTurnDue = turnClock();
  const run = async (args: Args): Promise<Result> => {
    const { form, leaves } = findLatest(forms, args) ?? await findOrCompile(forms, args);
    try {
      const outputs = await runForm(forms, form, leaves);
      if (isTurnDue()) await giveTurn(); // not earlier: the arguments are read immediately
      return unflattenTree<Result>(form.structure, outputs);
    } catch (error) {
      forgetIfLost(forms, form, error);
      throw error;
    }
  };
  // Throws synchronously inside a trace, where a rejection could not be awaited.
  const call = (...args: Args): Promise<Result> => {
    if (isTracing()) {
      throw new TypeError(
        "Cannot call a compiled function while another function is traced: call the function it was made from",
      );
    }
    return run(args);
  };
  const compiled = Object.assign(call, {
    sync: (...args: Args): Result => runNow<Result>(forms, args),
    device: "", // defined below
    program: (...args: readonly unknown[]) => runPasses(source.trace(args.map(specsOf)).program),
    explain: (...args: readonly unknown[]) => explainForms(forms, args),
    explanation: (...args: readonly unknown[]) => explanationOf(forms, args),
    [Symbol.dispose]: () => disposeForms(forms),
  });
  return Object.defineProperty(compiled, "device", { get: () => deviceOf(forms) });
}

function runNow<Result>(forms: Forms, args: readonly unknown[]): Result {
  const found = findReady(forms, args);
  if (!found) {
    throw new Error("Cannot call sync: call the compiled function once with await for these shapes first");
  }
  const { form, leaves } = found;
  if (!form.executable.runSync) {
    throw new Error("Cannot call sync: the device cannot block; use await");
  }
  try {
    return unflattenTree<Result>(form.structure, form.executable.runSync(leaves));
  } catch (error) {
    forgetIfLost(forms, form, error);
    throw error;
  }
}

function specsOf(arg: unknown): unknown {
  return mapTree(arg, (leaf: Spec) => specOf(leaf));
}

function explainForms(forms: Forms, args: readonly unknown[]): string {
  const { source, kept } = forms;
  if (args.length > 0) return explainProgram(source.trace(args.map(specsOf)));
  if (kept.size === 0) {
    throw new Error("Cannot explain: nothing was compiled yet; call it first, or give specs");
  }
  const texts = [...kept.keys()].map(({ traced, executable, device, why }) =>
    `on ${device}: ${why}\n\n${explainProgram(traced, executable)}`
  );
  return [...(kept.size > 1 ? [describeForms(forms)] : []), ...texts].join("\n\n");
}

/** The same as data: for these arguments, or for the last call. */
function explanationOf({ source, latest }: Forms, args: readonly unknown[]): Explanation {
  if (args.length > 0) return { ...explainPasses(source.trace(args.map(specsOf))), kernels: [] };
  if (!latest) throw new Error("Cannot explain: nothing was compiled yet; call it first, or give specs");
  const { traced, executable, device, why } = latest;
  return {
    device: { name: device, why },
    ...explainPasses(traced),
    ...(executable.report?.() ?? { kernels: [] }),
  };
}

/** The name of the device of the last call; before the first call, that of the device that is tried first. */
function deviceOf({ source: { device = "auto" }, devices, latest }: Forms): string {
  return latest?.device ?? devices?.backends[0].name ?? (typeof device === "string" ? device : device.name);
}
