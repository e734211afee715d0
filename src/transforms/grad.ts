/** `grad` and `valueAndGrad`: derivatives of functions of trees. */
import { checkFunction } from "../describe.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import { checkOptions } from "../option_names.ts";
import { isFloat } from "../operations/infer.ts";
import { ones } from "../operations/creation.ts";
import { zerosIfAbsent } from "../derivatives/cotangents.ts";
import { isTracing, traceFlat } from "../program/trace.ts";
import { host, isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath, type Structure, unflattenTree } from "../tree/tree.ts";
import { pullback, record } from "../derivatives/differentiate.ts";
import { prepareToDifferentiate, runPasses } from "../passes/mod.ts";

/** Options of `grad` and `valueAndGrad`. */
export interface GradOptions<Index extends number = number> {
  /** The index of the argument to differentiate with respect to; default 0. */
  readonly argument?: Index;
}

/** A scalar, or a scalar and any auxiliary result to be returned with it. */
export type Differentiable = Tensor | readonly [value: Tensor, auxiliary: unknown];

/**
 * A function that returns the value of `fn` and its gradient.
 *
 * @param fn A pure function of trees of tensors. Returns a float scalar, or `[scalar, auxiliary]`.
 * @param options Which argument the gradient is of; all its leaves must be floats.
 * @returns A function of the same arguments returning `[result of fn, gradient]`; the gradient has the
 *   structure of the argument. It may be traced, compiled, and differentiated again.
 * @throws TypeError if the argument has a leaf that is not a float, or `fn` does not return a scalar.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mul, item, sum, tensor, toNested, valueAndGrad } from "@cellfold/cellfold";
 * const [value, gradient] = valueAndGrad((x) => sum(mul(x, x)))(tensor([1, 2, 3]));
 * assertEquals(item(value), 14);
 * assertEquals(toNested(gradient), [2, 4, 6]);
 * ```
 */
// deno-lint-ignore no-explicit-any -- lets the parameter types of fn be inferred from its annotations
export function valueAndGrad<Args extends any[], Result extends Differentiable, Index extends number = 0>(
  fn: (...args: Args) => Result,
  options: GradOptions<Index> = {},
): (...args: Args) => [value: Result, gradient: Args[Index]] {
  checkFunction("differentiate", fn);
  checkOptions("valueAndGrad", options, ["argument"]);
  const argument: number = options.argument ?? 0;
  return (...args) => {
    const { leaves, structure } = flattenTree<Tensor>(args, "arguments");
    const active = activeLeaves(args, argument);
    if (isTracing()) {
      const { outputs, result } = differentiated(fn, leaves, structure, active);
      return unflattenTree(pairStructure(result, args[argument]), outputs);
    }
    const { program, result } = traceFlat(
      leaves,
      (tracers) => differentiated(fn, tracers, structure, active),
    );
    return unflattenTree(
      pairStructure(result, args[argument]),
      runProgram(runPasses(program), leaves.map(host)),
    );
  };
}

/** A function that returns the gradient of `fn`; see `valueAndGrad`. */
// deno-lint-ignore no-explicit-any -- lets the parameter types of fn be inferred from its annotations
export function grad<Args extends any[], Index extends number = 0>(
  fn: (...args: Args) => Differentiable,
  options: GradOptions<Index> = {},
): (...args: Args) => Args[Index] {
  const both = valueAndGrad(fn, options);
  return (...args) => both(...args)[1];
}

function pairStructure(result: Structure, argument: unknown): Structure {
  return { kind: "array", items: [result, flattenTree(argument).structure] };
}

/** Which leaves of all arguments belong to the differentiated one; they must be floats. */
function activeLeaves(args: readonly unknown[], argument: number): boolean[] {
  if (argument < 0 || argument >= args.length || !Number.isInteger(argument)) {
    throw new RangeError(
      `Cannot differentiate with respect to argument ${argument}: ${args.length} are given`,
    );
  }
  return args.flatMap((arg, index) => {
    const { leaves, paths } = flattenTree<Tensor>(arg, `argument ${index}`);
    leaves.forEach((leaf, i) => {
      if (index === argument && !isFloat(leaf)) {
        throw new TypeError(
          `Cannot differentiate with respect to ${printSpec(leaf)} at ` +
            `${
              printPath(paths[i], `argument ${index}`)
            }: only floats have derivatives; pass it as another argument`,
        );
      }
    });
    return leaves.map(() => index === argument);
  });
}

/** Traces `fn`, then records it and its derivative in the current trace. */
function differentiated<Args extends unknown[]>(
  fn: (...args: Args) => Differentiable,
  leaves: readonly Tensor[],
  structure: Structure,
  active: readonly boolean[],
): { outputs: Tensor[]; result: Structure } {
  const { program, captured, result } = traceFlat(leaves, (tracers) => {
    const returned = fn(...unflattenTree<Args>(structure, tracers));
    const value = isTensor(returned) ? returned : (returned as readonly [Tensor, unknown])?.[0]; // Differentiable
    if (!isTensor(value) || !isFloat(value) || value.shape.length > 0) {
      throw new TypeError(
        `Cannot differentiate: the function gives ${isTensor(value) ? printSpec(value) : "no tensor"}, ` +
          `expected a float scalar (or [scalar, auxiliary]); reduce it with sum or mean`,
      );
    }
    const output = flattenTree<Tensor>(returned, "result");
    return { outputs: [value, ...output.leaves], result: output.structure };
  });
  const inputs = [...leaves, ...captured];
  const tape = record(prepareToDifferentiate(program), inputs, [...active, ...captured.map(() => false)]);
  const [value, ...outputs] = tape.outputs;
  const cotangents = pullback(tape, [ones([], { dtype: value.dtype }), ...outputs.map(() => undefined)]);
  const gradients = leaves.flatMap((leaf, index) =>
    active[index] ? [zerosIfAbsent(cotangents[index], leaf)] : []
  );
  return { outputs: [...outputs, ...gradients], result };
}
