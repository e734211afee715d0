/**
 * What runs a function on a device: it is traced and compiled at the first call, with what that needs loaded then. What
 * explains it too is in compile.ts, and brings the passes along.
 */
import { checkDevice } from "../../kernels/mod.ts";
import { giveTurn, turnClock } from "../pause.ts";
import type { LazyTrace } from "../program/functions.ts";
import { isTracing } from "../program/trace.ts";
import { unflattenTree } from "../tree/tree.ts";
import {
  createForms,
  disposeForms,
  findLatest,
  findOrCompile,
  findReady,
  forgetIfLost,
  type Forms,
  type Source,
} from "./forms.ts";
import { withPassed } from "./passed.ts";

/** What runs a function. */
export interface Runner<Args extends readonly unknown[], Result> extends Disposable {
  /** Runs it; arguments are trees of tensors on the host or on this device. */
  (...args: Args): Promise<Result>;
  /**
   * Runs it synchronously; throws if blocking is impossible, or before the first asynchronous call with these
   * shapes.
   */
  sync(...args: Args): Result;
  /** The name of the backend of the last call; before the first call, the chosen device, possibly `auto`. */
  readonly device: string;
}

/** How a function that is traced once is run. */
export type RunOptions = Omit<Source, "trace" | "specs">;

/** What runs a function that is traced once, for all sizes that are open in its specs. */
export function runTrace<Args extends readonly unknown[], Result>(
  { get, specs }: LazyTrace,
  { device, donate, keep, fixed, passes }: Partial<RunOptions>,
): Runner<Args, Result> {
  return runSource<Args, Result>({ trace: get, device, donate, keep, specs, fixed, passes }).runner;
}

/** What runs a function, and what it has compiled. */
export function runSource<Args extends readonly unknown[], Result>(
  source: Source,
): { readonly runner: Runner<Args, Result>; readonly forms: Forms } {
  checkDevice(source.device);
  const forms = createForms(source);
  const isTurnDue = turnClock();
  const run = async (args: Args): Promise<Result> => {
    const { form, leaves } = findLatest(forms, args) ?? await findOrCompile(forms, args);
    form.running++; // so that it is not freed meanwhile
    try {
      const outputs = withPassed(form.passed, await form.executable.run(leaves), leaves);
      if (isTurnDue()) await giveTurn(); // not earlier: the arguments are read immediately
      return unflattenTree<Result>(form.structure, outputs);
    } catch (error) {
      forgetIfLost(forms, form, error);
      throw error;
    } finally {
      form.running--;
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
  const runner = Object.assign(call, {
    sync: (...args: Args): Result => runNow<Result>(forms, args),
    device: "", // defined below
    [Symbol.dispose]: () => disposeForms(forms),
  });
  return { runner: Object.defineProperty(runner, "device", { get: () => deviceOf(forms) }), forms };
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
    const computed = form.executable.runSync(leaves);
    return unflattenTree<Result>(form.structure, withPassed(form.passed, computed, leaves));
  } catch (error) {
    forgetIfLost(forms, form, error);
    throw error;
  }
}

/** The name of the device of the last call; before the first call, that of the device that is tried first. */
function deviceOf({ source: { device = "auto" }, devices, latest }: Forms): string {
  return latest?.device ?? devices?.backends[0].name ?? (typeof device === "string" ? device : device.name);
}
