/**
 * The order in which Keras keeps the layers of a graph, which numbers their groups in a file: by depth from the outputs,
 * the deepest first, and within a depth as a depth-first walk from the outputs meets them (`map_graph` in
 * `keras.src.ops.function`).
 */
import type { Json } from "../../src/options/json.ts";
import type { Layer } from "../../src/layers/mod.ts";

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
}

/** What a saved graph refers to: `"3.0"` is the first tensor of step 3. */
export interface Reference {
  readonly step: number;
  readonly index: number;
}

/** The references in a tree of them, in the order of its leaves. */
export function referencesIn(tree: Json | undefined): Reference[] {
  if (tree === undefined || tree === null) return [];
  if (typeof tree !== "object") {
    const [step, index] = String(tree).split(".").map(Number);
    return [{ step, index }];
  }
  if (Array.isArray(tree)) return tree.flatMap(referencesIn);
  return Object.entries(tree).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([, child]) => referencesIn(child));
}

/** The steps of a graph, as it saves them. */
export function stepsOf(model: Layer): readonly GraphStep[] {
  return model.options.steps as unknown as readonly GraphStep[]; // written by the model itself
}

/** What a step reads, in Keras's order: arguments, then named ones by name. */
export function readBy({ inputs, initialState, mask }: GraphStep): Reference[] {
  return [inputs, initialState, mask].flatMap(referencesIn);
}

/** An operation is a layer, which several steps may call, or a step of its own. */
function operationOf({ layer }: GraphStep, step: number): string {
  return layer === undefined ? `step ${step}` : `layer ${layer}`;
}

/** The steps after those that they read, and the operations as the walk meets them. */
function walk(steps: readonly GraphStep[], outputs: readonly Reference[]) {
  const met = new Map<string, number>();
  const finished = new Set<number>();
  const order: number[] = [];
  for (const { step: output } of outputs) {
    const pending: { step: number; parents: Reference[] }[] = [];
    const enter = (step: number) => {
      if (finished.has(step)) return; // a step reads earlier ones only, so none is under way twice
      const operation = operationOf(steps[step], step);
      if (!met.has(operation)) met.set(operation, met.size);
      pending.push({ step, parents: readBy(steps[step]).reverse() });
    };
    enter(output);
    for (let top = pending.at(-1); top; top = pending.at(-1)) {
      const parent = top.parents.pop();
      if (parent) enter(parent.step);
      else {
        finished.add(top.step);
        order.push(top.step);
        pending.pop();
      }
    }
  }
  return { order, met };
}

/** The operations of a graph in Keras's order, each with the steps that it makes. */
export function kerasOperations(model: Layer): readonly (readonly number[])[] {
  const steps = stepsOf(model);
  const { order, met } = walk(steps, referencesIn(model.options.outputs));
  const depthOfStep = new Map<number, number>();
  const depthOfOperation = new Map<string, number>();
  for (const step of [...order].reverse()) {
    const operation = operationOf(steps[step], step);
    const depth = Math.max(depthOfStep.get(step) ?? 0, depthOfOperation.get(operation) ?? 0);
    depthOfStep.set(step, depth);
    depthOfOperation.set(operation, depth);
    for (const parent of readBy(steps[step])) {
      depthOfStep.set(parent.step, Math.max(depth + 1, depthOfStep.get(parent.step) ?? 0));
    }
  }
  const operations = [...depthOfOperation.keys()].sort((a, b) =>
    (depthOfOperation.get(b) ?? 0) - (depthOfOperation.get(a) ?? 0) || (met.get(a) ?? 0) - (met.get(b) ?? 0)
  );
  const made = Map.groupBy(steps.keys(), (step) => operationOf(steps[step], step));
  return operations.map((operation) => made.get(operation) ?? []);
}

/** The layers of a container in the order in which Keras keeps them, as indices. */
export function kerasOrder(container: Layer): readonly number[] {
  if (container.type !== "model") return (container.layers ?? []).map((_, index) => index);
  const steps = stepsOf(container);
  return kerasOperations(container).flatMap(([step]) => steps[step].layer ?? []);
}
