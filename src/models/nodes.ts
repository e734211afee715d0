/**
 * The nodes of a graph: symbolic inputs, the outputs of layers called on nodes, and functions of nodes. A
 * node knows its shape, dtype and source; nothing is computed. The model between nodes is in graph.ts.
 */
import { checkFunction, describeValue } from "../describe.ts";
import { checkLayer } from "../layers/checks.ts";
import { layerName } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import { type DType, isLeaf, printSpec, type Spec, spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type MappedTree, mapTree, printPath, type Tree, unflattenTree } from "../tree/tree.ts";
import { callSpecs, functionSpecs, paramSpecs } from "./call_specs.ts";
import { maskOfTree, masksOfLeaves } from "../layers/masks.ts";
import { masked } from "./masked_function.ts";

/**
 * A symbolic value of a graph. One node stands for one tensor; a layer that returns a tree gives a tree of
 * nodes, and a list of them can be destructured:
 * `const [output, state] = call(lstm({ units: 8, returnState: true }), x)`.
 */
export interface Node extends Spec {
  /** Marks this as a node rather than a tensor. */
  readonly symbolic: true;
}

/**
 * Where nodes come from. Made by `input`, `call` and `apply`; `serial` is the order in which they were made.
 */
export type Source =
  | { readonly kind: "input"; readonly serial: number; readonly name?: string; readonly spec: Spec }
  | {
    readonly kind: "call";
    readonly serial: number;
    readonly layer: Layer;
    readonly inputs: Tree<Node>;
    readonly initialState?: Tree<Node>;
    readonly mask?: Node;
    readonly resets?: Node;
  }
  | {
    readonly kind: "apply";
    readonly serial: number;
    readonly fn: (...args: Tensor[]) => Tree<Tensor>;
    readonly inputs: readonly Node[];
  };

/** A node with its source; every node is one. */
export interface Origin extends Node {
  /** Throws: a single node cannot be destructured. */
  [Symbol.iterator](): never;
  readonly source: Source;
  /** Which leaf of its source's result it is. */
  readonly index: number;
  /** The spec of its mask, if it has one. */
  readonly mask: Tensor | undefined;
}

/** Counts sources, so that the layers of a model come in the order of their calls. */
let serials = 0;

function node(source: Source, index: number, spec: Spec, mask?: Tensor): Origin {
  return {
    ...specOf(spec),
    symbolic: true,
    source,
    index,
    mask,
    [Symbol.iterator]: () => {
      throw new TypeError(
        `Cannot take apart a single node ${printSpec(spec)}: this layer puts out one tensor, no list ` +
          `(returnState adds the state)`,
      );
    },
  };
}

/** The node, after checking that it is one. */
export function originOf(value: unknown, where: string): Origin {
  if (isLeaf(value) && "symbolic" in value) return value as Origin; // only this file makes nodes
  throw new TypeError(
    `Cannot use ${isLeaf(value) ? printSpec(value) : describeValue(value)} as ${where}: ` +
      `expected a node, as input(...), call(...) and apply(...) give`,
  );
}

/** Every node of a tree, checked. */
export function originsOf(tree: unknown, where: string): Origin[] {
  const { leaves, paths } = flattenTree<unknown>(tree, where);
  return leaves.map((leaf, index) => originOf(leaf, printPath(paths[index], where)));
}

/** Options of {@linkcode input}. */
export interface InputOptions {
  /** The name in errors and summaries. */
  readonly name?: string;
  /** Default float32. */
  readonly dtype?: DType;
}

/**
 * A symbolic input of a model.
 *
 * @param shape The shape of one sample, without the batch (Keras's `shape`): a leading null is the open
 *   `time`, a name is a separate open size. Or a spec with all axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { input } from "@cellfold/cellfold";
 * assertEquals(String(input([null, 28]).shape), "batch,time,28");
 * ```
 */
export function input(shape: readonly (number | null | string)[] | Spec, options: InputOptions = {}): Node {
  if (!isLeaf(shape) && !Array.isArray(shape)) {
    throw new TypeError(
      `Cannot make an input: shape is ${describeValue(shape)}, expected an array of sizes or a spec`,
    );
  }
  checkOptions("input", options, ["name", "dtype"]);
  if (isLeaf(shape) && options.dtype !== undefined && options.dtype !== shape.dtype) {
    throw new TypeError(`Cannot make an input of ${printSpec(shape)} with the dtype ${options.dtype}`);
  }
  const full = isLeaf(shape) ? specOf(shape) : spec([null, ...shape], options.dtype);
  return node({ kind: "input", serial: serials++, name: options.name, spec: full }, 0, full);
}

/** The arguments of a call besides its input. */
export interface CallOptions {
  /** The initial state of a recurrent layer, as another one returned it. */
  readonly initialState?: Tree<Node>;
  /** bool `[batch, time]`, instead of the mask that travels with the input. */
  readonly mask?: Node;
  /**
   * bool `[batch, time]`, for a recurrent layer: where new sequences begin inside its input. A step with a reset
   * starts from the cell's own first state, zeros, even if an initial state is given.
   */
  readonly resets?: Node;
}

/**
 * Calls a layer on nodes. The same layer called twice shares its params.
 *
 * The mask of the input is passed on, even if an initial state is given (Keras 3 drops it then).
 *
 * @param inputs A node, or a tree of nodes for a layer that takes a tree.
 * @returns A node, or a tree of nodes for a layer that returns a tree: that of the layer's output, whose type
 *   says which.
 * @throws TypeError if the layer cannot take them, naming the layer and both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { call, dense, input, lstm, model } from "@cellfold/cellfold";
 * const x = input([4]);
 * const layer = model({ inputs: x, outputs: call(dense({ units: 2 }), x) });
 * assertEquals(layer.layers?.length, 1);
 *
 * // Packed sequences: the second input says where each begins.
 * const [steps, resets] = [input([null, 4]), input([null], { dtype: "bool" })];
 * const packed = call(lstm({ units: 2, returnSequences: true }), steps, { resets });
 * assertEquals(String(packed.shape), "batch,time,2");
 * ```
 */
export function call<Output>(
  layer: Layer<Output>,
  inputs: Tree<Node>,
  options: CallOptions = {},
): MappedTree<Output, Node> {
  checkLayer("call", layer);
  const self = layerName(layer);
  checkOptions(`a call of ${self}`, options, ["initialState", "mask", "resets"]);
  const { initialState, mask, resets } = options;
  const given = originsOf(inputs, `the input of ${self}`);
  if (given.length === 0) throw new TypeError(`Cannot call ${self}: its input has no node`);
  if (initialState !== undefined) originsOf(initialState, `the initial state of ${self}`);
  const asSpecs = (tree: Tree<Node>) => mapTree(tree, specOf) as Tree<Tensor>; // specs stand for tensors
  const specs = asSpecs(inputs);
  const result = callSpecs<Output>(layer, paramSpecs(layer, specs), specs, {
    mask: mask
      ? specOf(originOf(mask, `the mask of ${self}`)) as Tensor // a spec stands for a tensor
      : maskOfTree(inputs, given.map(({ mask }) => mask)),
    initialState: initialState && asSpecs(initialState),
    resets: resets && specOf(originOf(resets, `the resets of ${self}`)) as Tensor, // as above
  });
  const source: Source = { kind: "call", serial: serials++, layer, inputs, initialState, mask, resets };
  return nodesOf(source, result.output, masksOfLeaves(result.output, result.mask));
}

/** The nodes for the results of a source. */
function nodesOf<Output>(
  source: Source,
  output: Output,
  masks: readonly (Tensor | undefined)[],
): MappedTree<Output, Node> {
  const { leaves, structure } = flattenTree<Spec>(output);
  return unflattenTree(structure, leaves.map((leaf, i) => node(source, i, leaf, masks[i])));
}

/**
 * Applies a pure function of tensors to nodes, such as `add` or a custom one. A model with it can be saved if
 * the function has a name; loading it requires the function under that name.
 *
 * Masks follow the axes of their tensors: a residual connection or a concatenation of features keeps them (a
 * step counts if it counts in all arguments), a function that reverses or slices steps also reverses or
 * slices the mask, and a result without a time axis has none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { add, apply, input } from "@cellfold/cellfold";
 * assertEquals(String(apply(add, input([4]), input([4])).shape), "batch,4");
 * ```
 */
export function apply<Output extends Tree<Tensor>>(
  fn: (...args: Tensor[]) => Output,
  ...inputs: readonly Node[]
): MappedTree<Output, Node> {
  checkFunction("apply to nodes", fn);
  const given = inputs.map((value, index) =>
    originOf(value, `argument ${index} of ${fn.name || "the function"}`)
  );
  const specs = given.map((value) => specOf(value) as Tensor); // specs stand for tensors
  const { output, mask } = functionSpecs(masked(fn), specs, given.map(({ mask }) => mask));
  return nodesOf({ kind: "apply", serial: serials++, fn, inputs }, output, masksOfLeaves(output, mask));
}
