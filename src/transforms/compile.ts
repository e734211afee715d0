/** `compile`: turns a function into an Executable of a backend, once per shape of its arguments. */
import { checkFunction, checkList } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { runPasses } from "../passes/mod.ts";
import { type LazyTrace, lazyTrace, trace } from "../program/functions.ts";
import type { Program } from "../program/types.ts";
import { type Spec, specOf } from "../tensor/tensor.ts";
import { mapTree } from "../tree/tree.ts";
import type { Device } from "./devices.ts";
import { explainPasses, explainProgram, type Explanation } from "./explain.ts";
import { describeForms, type Forms, type Source } from "./forms.ts";
import { type Runner, type RunOptions, runSource } from "./runner.ts";

export type { Runner } from "./runner.ts";

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
export interface Compiled<Args extends readonly unknown[], Result> extends Runner<Args, Result> {
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
  { device, donate, keep, fixed, passes }: Partial<RunOptions>,
): Compiled<Args, Result> {
  return compileSource({ trace: get, device, donate, keep, specs, fixed, passes });
}

function compileSource<Args extends readonly unknown[], Result>(source: Source): Compiled<Args, Result> {
  const { runner, forms } = runSource<Args, Result>(source);
  return Object.assign(runner, {
    program: (...args: readonly unknown[]) => runPasses(source.trace(args.map(specsOf)).program),
    explain: (...args: readonly unknown[]) => explainForms(forms, args),
    explanation: (...args: readonly unknown[]) => explanationOf(forms, args),
  });
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
