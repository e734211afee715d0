/**
 * Reads a graph (Keras's functional model) from its configuration: nodes are rebuilt as ours in an order in
 * which each finds what it reads.
 */
import { isRecurrentLayer, type Layer } from "../../src/layers/mod.ts";
import { apply, call, input, model, type Node } from "../../src/models/mod.ts";
import { maskOfTree } from "../../src/layers/masks.ts";
import { isContainer } from "../../src/models/container.ts";
import { originsOf } from "../../src/models/nodes.ts";
import type { Json } from "../../src/options/json.ts";
import { specOf, type Tensor } from "../../src/tensor/tensor.ts";
import { mapTree, type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { quoted } from "../../src/quoted.ts";
import { isAttention, readAttentionCalls } from "./attention.ts";
import { KerasFileError, reading } from "./errors.ts";
import { inOrder } from "./call_order.ts";
import { everyStep, functionOf, operationClasses, toTokens } from "./functions.ts";
import { takesMask } from "./masks.ts";
import { type MaskReader, maskReader, type TravellingMasks, travellingMasks } from "./read_masks.ts";
import { historiesIn, type History, historyOf, isTensorOf, keyOf, tensorKey } from "./histories.ts";
import { keepingMaskOrder } from "./mask_order.ts";
import { type MaskedCall, REMEDY, TAKEN, takenMasks } from "./taken_masks.ts";
import { ignoringMask, stateOf, unflattenState } from "./states.ts";
import { numbering, snakeCaseOfClass } from "./names.ts";
import { isList, isObject, type JsonObject, type KerasObject, kerasObject, nameIn } from "./objects.ts";
import { trainableIn } from "./options.ts";
import {
  below,
  inputSpec,
  inside,
  type LayerContext,
  layerList,
  placeOf,
  readLayer,
  takesTokens,
} from "./read_layers.ts";
import { checkedCall, countCall } from "./sizes.ts";

/** A layer, input or operation of the graph, with its calls. */
interface Operator {
  readonly name: string;
  readonly object: KerasObject;
  readonly place: string;
  /** Absent for an input or an operation. */
  readonly layer?: Layer;
  /** The group of its weights. */
  readonly path: string;
  readonly calls: readonly JsonObject[];
  /** Whether it is a graph, which has a call of its own that Keras counts in the surrounding graph. */
  readonly isGraph: boolean;
}

function operatorsOf(object: KerasObject, context: LayerContext): Operator[] {
  const place = placeOf(object);
  const number = numbering();
  const names = new Set<string>();
  return layerList(object.config, place).map((json, index) => {
    const inner = kerasObject(json, `layer ${index} of ${place}`);
    const name = nameIn(inner.json, `layer ${index} of ${place}`);
    if (names.has(name)) throw new KerasFileError(place, `two of its layers are named ${quoted(name)}`);
    names.add(name);
    const { inbound_nodes: calls } = inner.json;
    const own = placeOf(inner);
    if (!isList(calls) || !calls.every(isObject)) {
      throw new KerasFileError(
        own,
        `its inbound_nodes are ${quoted(calls)}, expected a list of { args, kwargs } as Keras 3 writes`,
      );
    }
    const isOperation = /^keras\.(src\.)?ops\b/.test(String(inner.json.module));
    const isInput = inner.className === "InputLayer";
    const path = isOperation ? "" : `layers/${number(snakeCaseOfClass(inner.className))}`;
    const deeper = below(context, path);
    return {
      name,
      object: inner,
      place: own,
      ...(isOperation || isInput ? {} : { layer: readLayer(inner, deeper) }),
      path: deeper.path,
      calls: calls as readonly JsonObject[], // as just checked
      isGraph: inner.className === "Functional" || inner.className === "Model",
    };
  });
}

/** The nodes returned by every call, by operator and call; those of operations are made on demand. */
type Results = Map<string, () => readonly Node[]>;

function nodeAt({ operator, call, index }: History, results: Results, place: string): Node {
  const node = results.get(keyOf(operator, call))?.()[index];
  if (node) return node;
  throw new KerasFileError(
    place,
    `it reads output ${index} of call ${call} of ${quoted(operator)}, which is not there`,
  );
}

/** Calls `run` once, when its result is first needed. */
function later<T>(run: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: run() }).value;
}

/** A tree of tensors as a tree of nodes. */
function nodesOf(value: Json | undefined, results: Results, place: string): Tree<Node> {
  if (isList(value)) return value.map((item) => nodesOf(item, results, place));
  if (isObject(value) && isTensorOf(value)) return nodeAt(historiesIn(value, place)[0], results, place);
  if (isObject(value) && !("class_name" in value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, nodesOf(item, results, place)]),
    );
  }
  throw new KerasFileError(place, `it is given ${quoted(value)}, expected tensors of the graph`);
}

/** The arguments of a call: a list, and the named ones that matter, without null and without training. */
function argumentsOf(
  json: JsonObject,
  place: string,
): { args: readonly Json[]; named: ReadonlyMap<string, Json> } {
  const { args = [], kwargs = {} } = json;
  if (!isList(args) || !isObject(kwargs)) {
    throw new KerasFileError(place, `one of its calls is ${quoted(json)}, expected { args, kwargs }`);
  }
  const means = ([name, value]: [string, Json]) =>
    value !== null && !(name === "training" && value === false);
  return { args, named: new Map(Object.entries(kwargs).filter(means)) };
}

function callOperation(
  operator: Operator,
  json: JsonObject,
  results: Results,
  context: LayerContext,
): readonly Node[] {
  const { object: { className, config: { name: _, ...given } }, place } = operator;
  countCall(context, place);
  const { args: all, named } = argumentsOf(json, place);
  const [args, config] = className === "GetItem" && all.length === 2
    ? [all.slice(0, 1), { ...given, key: all[1] }]
    : [all, given];
  const isKnown = args.every((arg) => isTensorOf(arg) || typeof arg === "number") && args.some(isTensorOf);
  const fn = isKnown && named.size === 0
    ? functionOf({ className, args: args.map((arg) => typeof arg === "number" ? arg : null), config })
    : undefined;
  if (fn === undefined) {
    throw new KerasFileError(
      place,
      `the operation has no equivalent here with ${quoted([...all, ...named.entries()])}; ` +
        `expected one of ${operationClasses.join(", ")} of tensors and numbers`,
    );
  }
  const nodes = args.filter(isTensorOf).map((arg) => nodesOf(arg, results, place) as Node); // a tensor is one node
  return treeLeaves<Node>(apply(fn, ...nodes));
}

/** Converts float tokens, Keras's default, to ours; other inputs are unchanged. */
function asTokens(layer: Layer, inputs: Tree<Node>): Tree<Node> {
  if (!takesTokens(layer)) return inputs;
  return mapTree(inputs, (node: Node): Tree<Node> => node.dtype === "int32" ? node : apply(toTokens, node));
}

function callLayer(
  { layer, name, object, place, path }: Operator & { readonly layer: Layer },
  number: number,
  json: JsonObject,
  results: Results,
  { masks, carried, taken }: {
    readonly masks: MaskReader;
    readonly carried: TravellingMasks;
    readonly taken: (call: MaskedCall) => void;
  },
  context: LayerContext,
): readonly Node[] {
  const { args, named } = argumentsOf(json, place);
  const takesState = isRecurrentLayer(layer) || layer.type === "bidirectional";
  const known = ["initial_state", "mask"].filter((name) => takesState || name === "mask");
  const [first, ...others] = args;
  const unknown = [...named.keys()].find((name) => !known.includes(name));
  if (first === undefined || unknown !== undefined || others.length > (takesState ? 2 : 0)) {
    throw new KerasFileError(
      place,
      `one of its calls is ${quoted(json)}, expected its input${
        takesState ? " and an initial state" : ""
      } alone`,
    );
  }
  const [positional, secondMask] = others;
  const initial = positional ?? named.get("initial_state");
  const inputs = asTokens(layer, nodesOf(first, results, place));
  const given = secondMask ?? named.get("mask");
  const [explicit] = masksOf(given, historiesIn(first, place), masks, place);
  const initialState = initial === undefined || initial === null
    ? undefined
    : unflattenState(stateOf(layer), treeLeaves<Node>(nodesOf(initial, results, place)), place);
  const specs = (tree: Tree<Node>) => mapTree(tree, specOf) as Tree<Tensor>; // specs stand for tensors
  const carriedHere = originsOf(inputs, object.className).map(({ mask }) => mask);
  const travelling = maskOfTree(inputs, carriedHere);
  const read = historiesIn(first, place).map(tensorKey);
  const isNone = given === undefined && travelling !== undefined && takesMask(layer) &&
    (context.masksTravel ? !read.some(carried.has) : initialState === undefined);
  const mask = explicit
    ? nodeAt(explicit, results, place)
    : isNone
    ? apply(everyStep, treeLeaves<Node>(inputs)[0])
    : undefined;
  checkedCall(layer, path, specs(inputs), {
    mask: mask === undefined ? travelling : specs(mask) as Tensor,
    initialState: initialState && specs(initialState),
  }, context);
  const key = (index: number) => tensorKey({ operator: name, call: number, index });
  masks.call(key, layer, read, explicit && tensorKey(explicit));
  carried.call(key, layer, read, explicit !== undefined);
  if (!context.masksTravel) {
    const masked = carriedHere.map((mask) => mask !== undefined);
    const isGiven = given !== undefined && given !== null;
    const differs = (what: string) =>
      new KerasFileError(
        place,
        `one of its inputs has ${what} ${TAKEN}; in the code that made the file, ${REMEDY}`,
      );
    taken({ key, layer, inputs: read, masked, isGiven, differs });
  }
  const nodes = treeLeaves<Node>(call(layer, inputs, {
    ...(initialState === undefined ? {} : { initialState }),
    ...(mask === undefined ? {} : { mask }),
  }));
  if (isContainer(layer)) { // its masks are those of its run
    originsOf(nodes, object.className).forEach(({ mask }, index) => {
      if (mask !== undefined) carried.add(key(index));
    });
  }
  return nodes;
}

/** The mask passed to a call besides those that its inputs carry anyway. */
function masksOf(
  value: Json | undefined,
  inputs: readonly History[],
  masks: MaskReader,
  place: string,
): readonly History[] {
  if (value === undefined || value === null) return [];
  const given =
    (isList(value) ? value : isObject(value) && !isTensorOf(value) ? Object.values(value) : [value])
      .map((mask) => mask === null ? undefined : historiesIn(mask, place)[0]);
  const isTravelling = given.every((mask, index) =>
    mask === undefined || (inputs[index] && masks.travels(tensorKey(inputs[index]), tensorKey(mask)))
  );
  if (isTravelling) return [];
  if (given.length === 1 && inputs.length === 1 && given[0]) return [given[0]];
  throw new KerasFileError(
    place,
    `it is given the masks ${quoted(value)}, expected one, or those of its inputs`,
  );
}

/** Keras drops the inputs' mask if an initial state is given, so a layer called that way drops it too. */
function withKerasMasks(operator: Operator): Operator {
  const { layer, calls, place } = operator;
  if (layer === undefined || !(isRecurrentLayer(layer) || layer.type === "bidirectional")) return operator;
  const given = calls.map((json) => argumentsOf(json, place));
  const takesState = given.some(({ args, named }) => args.length > 1 || named.has("initial_state"));
  const takesMask = given.some(({ args, named }) => args.length > 2 || named.has("mask"));
  return takesState && !takesMask ? { ...operator, layer: ignoringMask(layer) } : operator;
}

/** Keras 2 hands masks on in the order of the input, also behind layers that go backwards. */
function withOrderedMasks(operator: Operator): Operator {
  const { layer } = operator;
  return layer === undefined ? operator : { ...operator, layer: keepingMaskOrder(layer) };
}

/** The arguments of the calls of attention are options here. */
function withCallOptions(operator: Operator): Operator {
  const { layer, calls, place } = operator;
  return layer && isAttention(layer) ? { ...operator, ...readAttentionCalls(layer, calls, place) } : operator;
}

/** The names of inputs that are read only by layers of tokens, and by the masks of those. */
function tokenInputs(operators: readonly Operator[]): ReadonlySet<string> {
  const tokens = new Set<string>();
  const others = new Set<string>();
  for (const { layer, object, calls, place } of operators) {
    if (layer === undefined && object.className === "NotEqual") continue;
    const into = layer !== undefined && takesTokens(layer) ? tokens : others;
    for (const { operator } of calls.flatMap((json) => historiesIn(json, place))) into.add(operator);
  }
  return new Set([...tokens].filter((operator) => !others.has(operator)));
}

/** The nodes that the configuration names; a list of one is that one, as Keras once wrote single tensors. */
function endsOf(
  value: Json | undefined,
  results: Results,
  graphs: ReadonlySet<string>,
  place: string,
): Tree<Node> {
  if (isList(value) && value.length === 3 && typeof value[0] === "string") {
    const history = historyOf(value, place);
    const { operator, call } = history;
    return nodeAt({ ...history, call: graphs.has(operator) ? call - 1 : call }, results, place);
  }
  if (isList(value) && value.length > 0) {
    const ends = value.map((item) => endsOf(item, results, graphs, place));
    return ends.length === 1 ? ends[0] : ends;
  }
  if (isObject(value) && Object.keys(value).length > 0) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, endsOf(item, results, graphs, place)]),
    );
  }
  throw new KerasFileError(place, `expected [layer, call, output] or a tree of such, found ${quoted(value)}`);
}

/** The model of a functional configuration. */
export function readGraph(object: KerasObject, context: LayerContext): Layer {
  const place = placeOf(object);
  const within = inside(context, place);
  const operators = operatorsOf(object, within)
    .map(context.masksTravel ? withOrderedMasks : withKerasMasks)
    .map(withCallOptions);
  const tokens = tokenInputs(operators);
  const results: Results = new Map();
  for (const { name, object, place } of operators) {
    if (object.className !== "InputLayer") continue;
    const spec = inputSpec(object.config, place, tokens.has(name));
    const nodes = [input(spec, { name })];
    results.set(keyOf(name, 0), () => nodes);
  }
  const masks = maskReader();
  const carried = travellingMasks();
  const taken = takenMasks();
  const keys = (value: Json) => isTensorOf(value) ? tensorKey(historiesIn(value, place)[0]) : undefined;
  for (const { operator, call } of inOrder(operators, place)) {
    const { layer, name, object, calls } = operator;
    const json = calls[call];
    const { args } = argumentsOf(json, operator.place);
    if (layer === undefined) {
      masks.operation(
        tensorKey({ operator: name, call, index: 0 }),
        object.className,
        args,
        object.config,
        keys,
      );
      results.set(
        keyOf(name, call),
        later(() => reading(operator.place, () => callOperation(operator, json, results, within))),
      );
      continue;
    }
    const nodes = reading(
      operator.place,
      () => callLayer({ ...operator, layer }, call, json, results, { masks, carried, taken }, within),
    );
    results.set(keyOf(name, call), () => nodes);
  }
  const graphs = new Set(operators.filter(({ isGraph }) => isGraph).map(({ name }) => name));
  const made = model({
    inputs: endsOf(object.config.input_layers, results, graphs, `the inputs of ${place}`),
    outputs: endsOf(object.config.output_layers, results, graphs, `the outputs of ${place}`),
    name: nameIn(object.config, place),
    trainable: trainableIn(object.config, place),
  });
  context.orders.set(made, orderOf(made, operators, place));
  return made;
}

/** The layers of the model in the order of the file, which numbers their weights. */
function orderOf(made: Layer, operators: readonly Operator[], place: string): readonly number[] {
  return operators.flatMap(({ layer, name }) => {
    if (layer === undefined) return [];
    const index = made.layers?.indexOf(layer) ?? -1;
    if (index >= 0) return index;
    throw new KerasFileError(place, `no output depends on its layer ${quoted(name)}`);
  });
}
