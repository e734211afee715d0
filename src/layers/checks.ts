/**
 * The checks that layers share: of their input, their variables, and of arguments that should be layers.
 * Errors name the layer.
 */
import { describeValue, isObject, wrongKind } from "../describe.ts";
import type { RecurrentCell } from "../cells/cell.ts";
import { isFloat } from "../operations/infer.ts";
import { checkAsMade } from "../options/made.ts";
import { type Dim, fixedDim, type Shape } from "../tensor/dims.ts";
import { type HostTensor, hostTensor, isLeaf, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { treeLeaves } from "../tree/tree.ts";
import type { Layer, Mask, Variables } from "./layer.ts";

/** The one tensor (or spec) that a layer accepts; a tree of several is refused. */
export function oneInput<T extends Spec>(layer: string, input: unknown): T {
  if (isLeaf(input)) return input as T; // a tree of T that is a leaf is a T
  throw new TypeError(
    `Cannot use ${layer} with a tree of ${treeLeaves(input).length} tensors: it takes one tensor`,
  );
}

/** The same for a layer that computes with floats and needs at least `rank` axes, the batch among them. */
export function floatInput<T extends Spec>(layer: string, input: unknown, rank: number): T {
  const x = oneInput<T>(layer, input);
  if (!isFloat(x)) {
    throw new TypeError(`Cannot use ${layer} with ${printSpec(x)}: it takes floats; use cast(x, "float32")`);
  }
  if (x.shape.length < rank) {
    throw new TypeError(
      `Cannot use ${layer} with an input of shape ${printSpec(x).slice(x.dtype.length)}: ` +
        `expected ${rank} or more axes, the first the batch`,
    );
  }
  return x;
}

/** The same values in another shape of the same size; not copied. */
export function hostReshape({ data, dtype }: HostTensor, shape: Shape): HostTensor {
  return hostTensor(data, shape.map((dim) => fixedDim(dim, "An axis of a tensor on the host")), dtype);
}

/** The size of an axis that parameters depend on; it must be known. */
export function featureSize(layer: string, dim: Dim, axis: number): number {
  if (typeof dim === "number") return dim;
  throw new TypeError(
    `Cannot make parameters of ${layer}: axis ${axis} of its input is ${dim}, which is known only at run time; ` +
      `give it a number`,
  );
}

/** The mask of a layer that takes one tensor. */
export function oneMask(layer: string, mask: Mask): Tensor | undefined {
  return mask === undefined ? undefined : oneInput<Tensor>(`the mask of ${layer}`, mask);
}

/**
 * The result of a layer's `initParams` or `initState`: an object of exactly these tensors.
 *
 * @throws TypeError naming what is there and what is expected, for example if the variables belong to another
 * layer.
 */
export function namedTensors<T>(
  layer: string,
  what: "params" | "state",
  tree: unknown,
  names: readonly string[],
): T {
  const isObject = typeof tree === "object" && tree !== null && !Array.isArray(tree) && !isLeaf(tree);
  const found = isObject ? Object.keys(tree).sort() : [];
  if (isObject && found.join() === [...names].sort().join() && Object.values(tree).every(isLeaf)) {
    return tree as T; // its names were just checked
  }
  const given = isObject
    ? `{${found.join(", ")}}`
    : Array.isArray(tree)
    ? `an array of ${tree.length}`
    : isLeaf(tree)
    ? printSpec(tree)
    : String(tree);
  throw new TypeError(
    `Cannot use ${layer} with ${given} as its ${what}: expected {${names.join(", ")}}; ` +
      `make the variables with init(layer, key, input)`,
  );
}

/**
 * Throws a TypeError unless `value` is a layer, and not a copy whose changed data has no effect; `where`
 * names what it is given for.
 */
export function checkLayer(where: string, value: unknown): asserts value is Layer {
  const given = value as Partial<Layer & RecurrentCell> | null | undefined; // any member may be missing
  if (typeof given?.apply === "function" && typeof given.initParams === "function") return checkAsMade(given);
  const remedy = typeof given?.step === "function" ? "; give rnn(cell)" : "";
  throw wrongKind(where, value, "the layer", `a layer such as dense(...)${remedy}`);
}

/** Whether a value may be a tree of tensors, as far as can be seen without walking it. */
function isTree(value: unknown): boolean {
  return Array.isArray(value) || isObject(value);
}

/** Throws a TypeError unless `variables` has what `init` gives. */
export function checkVariables(what: string, variables: unknown): void {
  const given = variables as Partial<Variables> | null | undefined; // any member may be missing
  if (isTree(given?.params) && isTree(given?.state)) return;
  const [wrong] = (["params", "state"] as const).filter((part) =>
    given?.[part] !== undefined && !isTree(given[part])
  );
  const found = wrong === undefined
    ? `the variables are ${describeValue(variables)}`
    : `${wrong} of the variables is ${describeValue(given?.[wrong])}`;
  throw new TypeError(
    `Cannot ${what}: ${found}; expected { params, state }, as init(model, key, input) gives`,
  );
}
