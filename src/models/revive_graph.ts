/** A graph read from JSON: its steps are replayed, in order, on new nodes. Writing it is in graph_json.ts. */
import type { JsonOptions } from "../options/json.ts";
import type { Json } from "../options/json.ts";
import type { Layer } from "../layers/layer.ts";
import { unknownName } from "../known_names.ts";
import { asKey, quoted } from "../quoted.ts";
import { type DType, spec, type Tensor } from "../tensor/tensor.ts";
import { type Tree, treeLeaves } from "../tree/tree.ts";
import { model } from "./graph.ts";
import { apply, call, input, type Node } from "./nodes.ts";

/** A pure function of tensors that a graph applies. */
export type GraphFunction = (...args: Tensor[]) => Tree<Tensor>;

/** A step as `sourceJson` wrote it. */
interface SavedStep {
  readonly input?: string | null;
  readonly shape?: readonly (number | string)[];
  readonly dtype?: DType;
  readonly layer?: number;
  readonly function?: string;
  readonly inputs?: Json;
  readonly initialState?: Json;
  readonly mask?: Json;
  readonly resets?: Json;
}

/** A tree of references as the nodes they refer to. */
function readReferences(json: Json | undefined, steps: readonly (readonly Node[])[]): Tree<Node> {
  if (Array.isArray(json)) return json.map((item) => readReferences(item, steps));
  if (typeof json === "object" && json !== null) {
    return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, readReferences(item, steps)]));
  }
  const [step, index] = String(json).split(".").map(Number);
  const found = steps[step]?.[index];
  if (found) return found;
  throw new RangeError(
    `Cannot load a model: a step reads ${quoted(json)}, which no earlier step gives`,
  );
}

/** A step replayed. */
function takeStep(
  { shape, dtype, ...step }: SavedStep,
  layers: readonly Layer[],
  functions: { readonly [name: string]: GraphFunction },
  before: readonly (readonly Node[])[],
): Tree<Node> {
  if (shape !== undefined) return input(spec(shape, dtype), { name: step.input ?? undefined });
  const inputs = readReferences(step.inputs, before);
  if (step.function !== undefined) {
    if (!Object.hasOwn(functions, step.function)) {
      const { message } = unknownName("function", step.function, Object.keys(functions));
      throw new RangeError(`${message}; give it: fromJson(json, { functions: { ${asKey(step.function)} } })`);
    }
    return apply(functions[step.function], ...inputs as readonly Node[]); // saved as a list of nodes
  }
  const layer = layers[step.layer ?? -1];
  if (!layer) throw new RangeError(`Cannot load a model: it calls layer ${step.layer} of ${layers.length}`);
  return call(layer, inputs, {
    ...(step.initialState === undefined ? {} : { initialState: readReferences(step.initialState, before) }),
    ...(step.mask === undefined ? {} : { mask: readReferences(step.mask, before) as Node }), // saved as one node
    ...(step.resets === undefined ? {} : { resets: readReferences(step.resets, before) as Node }), // as above
  });
}

/** The model of saved options. */
export function graphFromJson(
  { inputs, outputs, steps, ...options }: JsonOptions,
  layers: readonly Layer[],
  functions: { readonly [name: string]: GraphFunction },
): Layer {
  if (!Array.isArray(steps)) {
    throw new TypeError(`Cannot load a model: its steps are ${quoted(steps)}, expected an array`);
  }
  const nodes: Node[][] = [];
  for (const step of steps as readonly SavedStep[]) {
    nodes.push(treeLeaves<Node>(takeStep(step, layers, functions, nodes)));
  }
  return model({
    ...options,
    inputs: readReferences(inputs, nodes),
    outputs: readReferences(outputs, nodes),
  });
}
