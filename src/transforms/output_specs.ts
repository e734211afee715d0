/** What a function would give, without computing it. */
import { checkFunction } from "../describe.ts";
import { traceFlat } from "../program/trace.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, unflattenTree } from "../tree/tree.ts";

/**
 * The specs of what `fn` returns for arguments of these specs: it is traced and nothing is computed.
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
