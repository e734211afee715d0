/** The model between symbolic inputs and outputs. It is a layer; its nodes are defined in nodes.ts. */
import { layerName, layerOptionNames, type LayerOptions } from "../layers/define.ts";
import type { Layer, Mask } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import { sameShape } from "../tensor/dims.ts";
import { host, type HostTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import {
  checkSameStructure,
  flattenTree,
  type MappedTree,
  mapTree,
  printPath,
  type Tree,
  unflattenTree,
} from "../tree/tree.ts";
import type { CallResult } from "./call_specs.ts";
import { container, type LayerWalk, type Steps } from "./container.ts";
import { referencesJson, sourceJson } from "./graph_json.ts";
import { maskOfTree, masksOfLeaves } from "../layers/masks.ts";
import { masked } from "./masked_function.ts";
import { type Node, type Origin, originsOf, type Source } from "./nodes.ts";

/**
 * Options of {@linkcode model}.
 *
 * @typeParam Outputs The tree of the outputs.
 */
export interface ModelOptions<Outputs extends Tree<Node> = Tree<Node>> extends LayerOptions {
  /** One input, a list, or named ones: any tree of nodes returned by `input`. */
  readonly inputs: Tree<Node>;
  /** One output, a list, or named ones: any tree of nodes. */
  readonly outputs: Outputs;
}

/** Everything that a call reads. */
function readByCall({ inputs, initialState, mask, resets }: SourceOf<"call">): Tree<Node> {
  return [inputs, initialState ?? [], mask ?? [], resets ?? []];
}

/** The nodes that a source reads. */
function readBy(source: Source): Origin[] {
  switch (source.kind) {
    case "input":
      return [];
    case "call":
      return originsOf(readByCall(source), "");
    case "apply":
      return originsOf(source.inputs, "");
  }
}

/**
 * Every source that the outputs need, in the order in which they were made, which is a valid order of
 * computation.
 */
function sourcesOf(outputs: readonly Origin[]): Source[] {
  const found = new Set<Source>();
  const pending = outputs.map(({ source }) => source);
  for (let source = pending.pop(); source; source = pending.pop()) {
    if (found.has(source)) continue;
    found.add(source);
    pending.push(...readBy(source).map(({ source }) => source));
  }
  return [...found].sort((a, b) => a.serial - b.serial);
}

/** The name of each input: its own, its path in the tree of inputs, or `input`. */
function inputNames(inputs: Tree<Node>, nodes: readonly Origin[]): string[] {
  const { paths } = flattenTree(inputs);
  return nodes.map(({ source }, index) => {
    if (source.kind === "input" && source.name !== undefined) return source.name;
    return paths[index].length === 0 ? "input" : printPath(paths[index], "input");
  });
}

/** Throws unless the inputs are input nodes, each given once, and exactly those that the outputs need. */
function checkConnected(
  self: string,
  inputs: readonly Origin[],
  names: readonly string[],
  sources: readonly Source[],
) {
  inputs.forEach(({ source }, index) => {
    if (source.kind !== "input") {
      throw new TypeError(
        `Cannot make ${self}: ${names[index]} comes from a layer; its inputs are made by input(...)`,
      );
    }
    if (inputs.findIndex((other) => other.source === source) !== index) {
      throw new RangeError(`Cannot make ${self}: ${names[index]} is among its inputs twice`);
    }
    if (!sources.includes(source)) {
      throw new RangeError(
        `Cannot make ${self}: no output depends on the input ${names[index]}; leave it out`,
      );
    }
  });
  for (const source of sources) {
    if (source.kind !== "input" || inputs.some((input) => input.source === source)) continue;
    throw new RangeError(
      `Cannot make ${self}: an output depends on the input ${source.name ?? "without a name"} ` +
        `(${printSpec(source.spec)}), which is not among its inputs (${names.join(", ")})`,
    );
  }
}

/**
 * The model between symbolic inputs and outputs: a layer.
 *
 * It accepts and returns trees like those of its inputs and outputs. Params and state are arrays with one
 * entry per distinct layer, in the order of the calls.
 *
 * @throws RangeError if an input is missing, unused or given twice, naming it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { add, apply, call, dense, input, model } from "@cellfold/cellfold";
 * const left = input([4], { name: "left" });
 * const right = input([4], { name: "right" });
 * const shared = dense({ units: 2 });
 * const sum = apply(add, call(shared, left), call(shared, right));
 * const layer = model({ inputs: { left, right }, outputs: sum });
 * assertEquals(layer.layers?.length, 1); // shared
 * ```
 */
export function model<const Outputs extends Tree<Node>>(
  options: ModelOptions<Outputs>,
): Layer<MappedTree<Outputs, Tensor>>;
export function model(options: ModelOptions): Layer {
  checkOptions("model", options, ["inputs", "outputs", ...layerOptionNames]);
  const { inputs, outputs, name, trainable } = options;
  const self = layerName({ type: "model", name });
  const sources = sourcesOf(originsOf(outputs, "outputs"));
  const given = originsOf(inputs, "inputs");
  const names = inputNames(inputs, given);
  checkConnected(self, given, names, sources);
  const layers = sources.flatMap((source) => source.kind === "call" ? [source.layer] : []);
  const called = [...new Set(layers)];
  const { activityRegularizer } = options;
  return graph(
    { self, inputs, outputs, names, sources, called, name, trainable, activityRegularizer },
    called,
  );
}

interface Plan extends ModelOptions {
  readonly self: string;
  /** A name for each input. */
  readonly names: readonly string[];
  readonly sources: readonly Source[];
  /** The distinct layers that the sources call. */
  readonly called: readonly Layer[];
}

/** The layer of a plan, with `layers` in place of those that its sources call. */
function graph(plan: Plan, layers: readonly Layer[]): Layer {
  const { inputs, outputs, sources, called, name, trainable } = plan;
  return container({
    type: "model",
    name,
    trainable,
    activityRegularizer: plan.activityRegularizer,
    layers,
    options: {
      inputs: referencesJson(inputs, sources),
      outputs: referencesJson(outputs, sources),
      steps: sources.map((source) => sourceJson(source, sources, called)),
    },
    walk: walkOf(plan),
    ...(seesValues(plan, layers) && { checkInput: (input) => checkValues(plan, layers, input) }),
    sequenceInputs: originsOf(inputs, "").map(({ shape }) => typeof (shape[1] ?? 1) !== "number"),
    inputNames: originsOf(inputs, "").map(({ source }) => source.kind === "input" ? source.name : undefined),
    batch: originsOf(inputs, "").map(({ shape: [batch] }) => batch).find((batch) =>
      typeof batch === "number"
    ),
    withLayers: (others) => graph(plan, others),
    named: (name) => graph({ ...plan, name, self: layerName({ type: "model", name }) }, layers),
  });
}

/** Whether a layer checks values that are known without computing, or the outputs are such values. */
function seesValues({ outputs, sources, called }: Plan, layers: readonly Layer[]): boolean {
  const known = new Set<Source>();
  const isKnown = (tree: Tree<Node>) =>
    originsOf(tree, "").every(({ source, dtype }) =>
      known.has(source) && (source.kind !== "apply" || dtype === "int32") // as `tokensFrom` has it
    );
  let areChecked = false;
  for (const source of sources) {
    if (source.kind !== "input" && !isKnown(source.inputs)) continue;
    if (source.kind === "call") {
      if (!layers[called.indexOf(source.layer)].checkInput) continue;
      areChecked = true;
    }
    known.add(source);
  }
  return areChecked || isKnown(outputs);
}

/**
 * Every layer checks the values that reach it; returns the model's output if it is known without computing.
 */
function checkValues(
  plan: Plan,
  layers: readonly Layer[],
  input: Tree<HostTensor>,
): Tree<HostTensor> | void {
  const { outputs, sources, called } = plan;
  checkGiven(plan, input, { anyBatch: true }); // samples of all batches are checked at once
  const values = valuesOfInputs(plan, input);
  const isKnown = (tree: Tree<Node>) => originsOf(tree, "").every(({ source }) => values.has(source));
  for (const source of sources) {
    if (source.kind === "input" || !isKnown(source.inputs)) continue;
    const given = readTree(values, source.inputs);
    const output = source.kind === "call"
      ? layers[called.indexOf(source.layer)].checkInput?.(given)
      : tokensFrom(source, given);
    if (output) values.set(source, flattenTree<HostTensor>(output).leaves);
  }
  if (isKnown(outputs)) return readTree(values, outputs);
}

/** The result of a function on known values, if it has integers, which may be tokens. */
function tokensFrom(
  { fn, inputs: declared }: SourceOf<"apply">,
  given: Tree<HostTensor>,
): Tree<HostTensor> | void {
  const args = flattenTree<HostTensor>(given).leaves;
  // A function of a fixed batch size cannot take all samples at once.
  if (
    args.some(({ shape }, index) =>
      typeof declared[index].shape[0] === "number" && shape[0] !== declared[index].shape[0]
    )
  ) return;
  const specs = flattenTree<Spec>(outputSpecs<Tree<Spec>>(fn, ...args)).leaves;
  if (specs.some(({ dtype }) => dtype !== "int32")) return;
  const { leaves, structure } = flattenTree<Tensor>(fn(...args));
  return unflattenTree(structure, leaves.map(host));
}

/** The result of each source. */
type Values<Leaf> = Map<Source, readonly Leaf[]>;

function valuesOfInputs<Leaf>({ inputs }: Plan, given: Tree<Leaf>): Values<Leaf> {
  const { leaves } = flattenTree<Leaf>(given);
  return new Map(originsOf(inputs, "").map(({ source }, index) => [source, [leaves[index]]]));
}

function readTree<Leaf>(values: Values<Leaf>, tree: Tree<Node>): Tree<Leaf> {
  // Sources are in the order of computation, so every node that is read has its value.
  return mapTree(tree, ({ source, index }: Origin) => values.get(source)?.[index] as Leaf);
}

/** Walks through the sources in order. */
function walkOf(plan: Plan): LayerWalk {
  const { inputs, outputs, names, sources, called } = plan;
  return (input, mask, steps) => {
    checkGiven(plan, input);
    const values = valuesOfInputs(plan, input);
    const masks: Values<Tensor | undefined> = new Map();
    const inputMasks = masksOfLeaves(input, mask);
    originsOf(inputs, "").forEach(({ source }, index) => {
      masks.set(source, [inputMasks[index]]);
      for (const value of values.get(source) ?? []) steps.input?.(names[index], value, { source, from: [] });
    });
    const maskOfNode = ({ source, index }: Origin) => masks.get(source)?.[index];
    const maskOf = (tree: Tree<Node>) => maskOfTree(tree, originsOf(tree, "").map(maskOfNode));
    for (const source of sources) {
      if (source.kind === "input") continue;
      const { output, mask } = source.kind === "call"
        ? callStep(source, called, steps, values, maskOf(source.inputs))
        : computeStep(source, steps, values, originsOf(source.inputs, "").map(maskOfNode));
      values.set(source, flattenTree<Tensor>(output).leaves);
      masks.set(source, masksOfLeaves(output, mask));
    }
    return { output: readTree(values, outputs), mask: maskOf(outputs) };
  };
}

type SourceOf<Kind extends Source["kind"]> = Extract<Source, { readonly kind: Kind }>;

function callStep(
  source: SourceOf<"call">,
  called: readonly Layer[],
  steps: Steps,
  values: Values<Tensor>,
  implicit: Mask,
): CallResult {
  const { layer, inputs, initialState, mask, resets } = source;
  const read = (tree: Tree<Node>) => readTree(values, tree);
  const extras = {
    mask: mask ? read(mask) as Tensor : implicit, // one node reads as one tensor
    initialState: initialState && read(initialState),
    resets: resets && read(resets) as Tensor, // as above
  };
  const from = originsOf(readByCall(source), "");
  return steps.call(called.indexOf(layer), read(inputs), extras, { source, from });
}

function computeStep(
  source: SourceOf<"apply">,
  steps: Steps,
  values: Values<Tensor>,
  masks: readonly (Tensor | undefined)[],
): CallResult {
  const { fn, inputs } = source;
  const args = flattenTree<Tensor>(readTree(values, inputs)).leaves;
  return steps.compute(masked(fn), args, masks, { source, from: originsOf(inputs, "") });
}

interface FitsOptions {
  /** Whether the first axis may have any size. */
  readonly anyBatch?: boolean;
}

/** Throws unless the given values fit the model's inputs. */
function checkGiven({ self, inputs, names }: Plan, values: Tree<Spec>, options: FitsOptions = {}): void {
  checkSameStructure(inputs, values, { first: `the inputs of ${self}`, second: "what it is given" });
  const declared = originsOf(inputs, "");
  flattenTree<Spec>(values).leaves.forEach((value, index) =>
    checkFits(self, names[index], declared[index], value, options)
  );
}

/** Throws unless a value can be the input that `declared` describes: open sizes accept any size. */
function checkFits(self: string, name: string, declared: Spec, value: Spec, { anyBatch }: FitsOptions): void {
  const open = value.shape.map((dim, axis) =>
    typeof declared.shape[axis] === "number" && !(anyBatch && axis === 0) ? dim : declared.shape[axis]
  );
  const fits = value.shape.length === declared.shape.length && sameShape(open, declared.shape);
  if (fits && value.dtype === declared.dtype) return;
  throw new TypeError(
    `Cannot use ${self} with ${printSpec(value)} for ${name}: expected ${printSpec(declared)}`,
  );
}
