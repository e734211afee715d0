/**
 * Our graph as Keras has it: with the operations that compute its masks, and in Keras's order, which numbers
 * the groups of weights in a file. The order is by depth from the outputs, deepest first, and within a depth
 * in the order of a depth-first walk from the outputs (`map_graph` in `keras.src.ops.function`).
 */
import type { Json, JsonOptions } from "../../src/options/json.ts";
import type { Layer } from "../../src/layers/mod.ts";
import { symbol } from "../../src/tensor/dims.ts";
import type { DType, Spec } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { everyStep, toTokens } from "./functions.ts";
import { masksOfCall, ofAll, takesMask } from "./masks.ts";

/** A step of a saved graph: an input, a call of a layer, or a function. */
export interface GraphStep {
  readonly input?: string | null;
  readonly shape?: readonly (number | string)[];
  readonly dtype?: string;
  readonly layer?: number;
  readonly function?: string;
  readonly inputs?: Json;
  readonly initialState?: Json;
  readonly mask?: Json;
  readonly resets?: Json;
}

/** One of the output tensors of a node. In a saved graph, `"3.0"` is the first tensor of step 3. */
export interface Reference {
  readonly node: number;
  readonly index: number;
}

/** An operation that computes a mask. */
export interface MaskOperation {
  readonly className: string;
  readonly args: readonly (Reference | number | readonly Reference[])[];
  readonly config: JsonOptions;
}

/** A node of Keras's graph: one of our steps, or an operation that computes a mask. */
export interface KerasNode {
  readonly step?: GraphStep;
  readonly operation?: MaskOperation;
  /** For a call: the masks that Keras passes it besides those that the step has, one per input tensor. */
  readonly masks?: readonly (Reference | undefined)[];
  /** For a call: it gets no mask, whatever masks its inputs carry. */
  readonly unmasked?: boolean;
}

/** A graph as Keras has it. */
export interface KerasGraph {
  /** Our steps under their own numbers, then the operations for masks. */
  readonly nodes: readonly KerasNode[];
  /** The operations in Keras's order, each with the nodes that are its calls. */
  readonly operations: readonly (readonly number[])[];
  /** Resolves a reference past the steps that Keras performs by itself. */
  readonly resolve: (reference: Reference) => Reference;
}

/** The references in a tree of them, in the order of its leaves. */
export function referencesIn(tree: Json | undefined): Reference[] {
  if (tree === undefined || tree === null) return [];
  if (typeof tree !== "object") {
    const [node, index] = String(tree).split(".").map(Number);
    return [{ node, index }];
  }
  if (Array.isArray(tree)) return tree.flatMap(referencesIn);
  return Object.entries(tree).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([, child]) => referencesIn(child));
}

/** The tree with each reference replaced. */
export function mapReferences<T>(tree: Json, change: (reference: Reference) => T): Tree<T> {
  if (Array.isArray(tree)) return tree.map((item) => mapReferences(item, change));
  if (typeof tree === "object" && tree !== null) {
    return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, mapReferences(item, change)]));
  }
  return change(referencesIn(tree)[0]);
}

/** The specs of the inputs that a graph declares. */
export function declaredInputs(model: Layer): Tree<Spec> {
  const steps = stepsOf(model);
  return mapReferences(model.options.inputs, ({ node }): Spec => {
    const { shape = [], dtype } = steps[node];
    const dims = shape.map((dim) => typeof dim === "number" ? dim : symbol(dim));
    return { shape: dims, dtype: dtype as DType }; // written by the model itself
  });
}

/** The steps of a graph, as it saves them. */
export function stepsOf(model: Layer): readonly GraphStep[] {
  return model.options.steps as unknown as readonly GraphStep[]; // written by the model itself
}

/** Whether a step is a cast of tokens, which Keras does inside an `Embedding`. */
export function isTokenCast(step: GraphStep | undefined): boolean {
  return step?.function === toTokens.name;
}

/**
 * Whether a call gets a mask in which every step counts, whatever its inputs carry: in Keras that is a call
 * without a mask.
 */
export function givesNoMask(step: GraphStep, steps: readonly GraphStep[]): boolean {
  const [given] = referencesIn(step.mask);
  return given !== undefined && steps[given.node].function === everyStep.name;
}

/** The graph with the operations for its masks. */
export function kerasGraph(model: Layer): KerasGraph {
  const steps = stepsOf(model);
  const nodes: KerasNode[] = steps.map((step) => ({ step }));
  const masks = new Map<string, Reference>();
  const keyOf = ({ node, index }: Reference) => `${node}.${index}`;
  const resolve = (reference: Reference): Reference => {
    const { step } = nodes[reference.node];
    return step && isTokenCast(step) ? resolve(referencesIn(step.inputs)[0]) : reference;
  };
  const make = (className: string, args: MaskOperation["args"], config: JsonOptions): Reference => {
    nodes.push({ operation: { className, args, config } });
    return { node: nodes.length - 1, index: 0 };
  };
  steps.forEach((step, node) => {
    const inputs = referencesIn(step.inputs).map(resolve).map((tensor) => ({
      tensor,
      mask: masks.get(keyOf(tensor)),
    }));
    if (step.layer === undefined) {
      const mask = isTokenCast(step) ? undefined : ofAll(inputs, make);
      if (mask) masks.set(keyOf({ node, index: 0 }), mask);
      return;
    }
    const layer = model.layers![step.layer]; // a step calls one of the model's layers
    if (givesNoMask(step, steps)) {
      nodes[node] = { step: { ...step, mask: undefined }, unmasked: true };
      return;
    }
    const [given] = referencesIn(step.mask);
    masksOfCall(layer, inputs, given, make).forEach((mask, index) => {
      if (mask) masks.set(keyOf({ node, index }), mask);
    });
    const isHanded = takesMask(layer) && given === undefined && step.initialState === undefined &&
      inputs.some(({ mask }) => mask !== undefined);
    if (isHanded) nodes[node] = { step, masks: inputs.map(({ mask }) => mask) };
  });
  const outputs = referencesIn(model.options.outputs).map(resolve);
  return { nodes, operations: operationsInOrder(nodes, outputs, resolve), resolve };
}

/** What a node reads, in Keras's order: positional arguments, then named ones by name. */
export function readBy({ step, operation, masks = [] }: KerasNode): Reference[] {
  if (operation) return operation.args.flatMap((arg) => typeof arg === "number" ? [] : arg);
  const handed = masks.filter((mask) => mask !== undefined);
  return [...[step?.inputs, step?.initialState, step?.mask, step?.resets].flatMap(referencesIn), ...handed];
}

/** An operation is a layer, which several nodes may call, or a separate node. */
function operationOf({ step }: KerasNode, node: number): string {
  return step?.layer === undefined ? `node ${node}` : `layer ${step.layer}`;
}

type Resolve = KerasGraph["resolve"];

/** The nodes after those that they read, and the operations in the order of the walk. */
function walk(nodes: readonly KerasNode[], outputs: readonly Reference[], resolve: Resolve) {
  const met = new Map<string, number>();
  const finished = new Set<number>();
  const order: number[] = [];
  const pending: { readonly node: number; readonly parents: Reference[] }[] = [];
  const enter = (node: number) => {
    if (finished.has(node)) return; // a node reads only earlier ones, so none is visited twice at once
    const operation = operationOf(nodes[node], node);
    if (!met.has(operation)) met.set(operation, met.size);
    pending.push({ node, parents: readBy(nodes[node]).map(resolve).reverse() });
  };
  for (const { node: output } of outputs) {
    enter(output);
    for (let top = pending.at(-1); top; top = pending.at(-1)) {
      const parent = top.parents.pop();
      if (parent) enter(parent.node);
      else {
        finished.add(top.node);
        order.push(top.node);
        pending.pop();
      }
    }
  }
  return { order, met };
}

function operationsInOrder(
  nodes: readonly KerasNode[],
  outputs: readonly Reference[],
  resolve: Resolve,
): readonly (readonly number[])[] {
  const { order, met } = walk(nodes, outputs, resolve);
  const depthOfNode = new Map<number, number>();
  const depthOfOperation = new Map<string, number>();
  for (const node of [...order].reverse()) {
    const operation = operationOf(nodes[node], node);
    const depth = Math.max(depthOfNode.get(node) ?? 0, depthOfOperation.get(operation) ?? 0);
    depthOfNode.set(node, depth);
    depthOfOperation.set(operation, depth);
    for (const parent of readBy(nodes[node]).map(resolve)) {
      depthOfNode.set(parent.node, Math.max(depth + 1, depthOfNode.get(parent.node) ?? 0));
    }
  }
  const operations = [...depthOfOperation.keys()].sort((a, b) =>
    (depthOfOperation.get(b) ?? 0) - (depthOfOperation.get(a) ?? 0) || (met.get(a) ?? 0) - (met.get(b) ?? 0)
  );
  const calls = new Map<string, number[]>();
  for (const node of [...order].sort((a, b) => a - b)) {
    const operation = operationOf(nodes[node], node);
    const known = calls.get(operation);
    if (known) known.push(node);
    else calls.set(operation, [node]);
  }
  return operations.map((operation) => calls.get(operation) ?? []);
}

/** The layers of a container in Keras's order, as indices. */
export function kerasOrder(container: Layer): readonly number[] {
  if (container.type !== "model") return (container.layers ?? []).map((_, index) => index);
  const { nodes, operations } = kerasGraph(container);
  return operations.flatMap(([node]) => nodes[node].step?.layer ?? []);
}
