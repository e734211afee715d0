/** Traces functions of trees of tensors: to a Program, or only to the specs of their results. */
import { checkFunction } from "../describe.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Structure, unflattenTree } from "../tree/tree.ts";
import { traceFlat } from "./trace.ts";
import type { Program } from "./types.ts";

/** A traced function: its Program, and the structure of its result. */
export interface TracedFunction {
  /** The function over the leaves of its arguments, before any optimization. */
  readonly program: Program;
  /** How the Program's outputs make up the function's result. */
  readonly structure: Structure;
  /** What passes did before differentiation, for people. */
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
      returned.catch(() => {}); // rejections after this trace has ended are ignored
      throw new TypeError("Cannot trace an async function: it must be pure and synchronous");
    }
    const output = flattenTree<Tensor>(returned, "result");
    return { outputs: output.leaves, result: output.structure };
  });
  return { program, structure: result, notes };
}

/** A function that is traced once, with specs of its arguments in which sizes may be open. */
export interface LazyTrace {
  readonly specs: readonly unknown[];
  /** The trace, made at the first call, which throws what the function throws. */
  readonly get: () => TracedFunction;
}

/** The trace of a function, made when it is needed. */
export function lazyTrace(fn: (...args: never[]) => unknown, specs: readonly unknown[]): LazyTrace {
  let traced: TracedFunction | undefined;
  return { specs, get: () => traced ??= trace(fn, ...specs) };
}

/**
 * The specs of the result of `fn` for arguments of these specs: it is traced and nothing is computed.
 *
 * @param fn A function of trees of tensors.
 * @param args Trees of tensors or specs.
 * @returns The tree that `fn` returns, with specs as leaves.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { matmul, outputSpecs, spec } from "@cellfold/cellfold";
 * const y = outputSpecs(matmul, spec([null, 3]), spec([3, 5]));
 * assertEquals(String(y.shape), "batch,5");
 * ```
 */
export function outputSpecs<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  ...args: Args
): Result;
/** The same for arguments given as specs. */
export function outputSpecs<Result>(fn: (...args: never[]) => Result, ...args: readonly unknown[]): Result;
export function outputSpecs(fn: (...args: never[]) => unknown, ...args: readonly unknown[]): unknown {
  checkFunction("find output specs", fn);
  const { leaves, structure } = flattenTree<Spec>(args, "arguments");
  return traceFlat(leaves, (tracers) => {
    const result = fn(...unflattenTree<never[]>(structure, tracers));
    const output = flattenTree<Tensor>(result, "result");
    return { outputs: output.leaves, result: unflattenTree(output.structure, output.leaves.map(specOf)) };
  }).result;
}
