/**
 * Writes a graph as the configuration of a functional model: operations in Keras's order, each with its
 * calls.
 */
import { type Layer, layerName } from "../../src/layers/mod.ts";
import { callSpecs, functionSpecs } from "../../src/models/call_specs.ts";
import { isContainer } from "../../src/models/container.ts";
import { masksOfLeaves } from "../../src/layers/masks.ts";
import type { Json } from "../../src/options/json.ts";
import type { GraphFunction } from "../../src/models/mod.ts";
import { addDims, type Dim, type Shape } from "../../src/tensor/dims.ts";
import type { Spec, Tensor } from "../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { attentionArguments, isAttention } from "./attention.ts";
import { moduleOf, operationOf, toTokens } from "./functions.ts";
import {
  declaredInputs,
  type GraphStep,
  isTokenCast,
  type KerasGraph,
  kerasGraph,
  type KerasNode,
  mapReferences,
  type MaskOperation,
  type Reference,
  referencesIn,
  stepsOf,
} from "./graph_order.ts";
import { countsAsKeras, countsOtherwise, takesMask } from "./masks.ts";
import { freeNames, snakeCaseOfClass } from "./names.ts";
import { takesTokens } from "./read_layers.ts";
import { ignoresMask } from "./states.ts";
import { REMEDY, TAKEN, takenMasks } from "./taken_masks.ts";
import { checkContainer, checkName, kerasJson, namesOf, writeLayer, type Written } from "./write_layers.ts";

/** A shape as Keras writes it: null for an open size. */
export function batchShape(shape: Shape): Json {
  return shape.map((dim: Dim) => typeof dim === "number" ? dim : null);
}

/** An `InputLayer`. */
export function inputJson(name: string, { shape, dtype }: Spec): { [key: string]: Json } {
  return kerasJson("keras.layers", "InputLayer", {
    batch_shape: batchShape(shape),
    dtype,
    sparse: false,
    ragged: false,
    name: checkName(name),
  });
}

/** What a walk through the graph finds out about each node. */
interface Found {
  readonly outputs: readonly Spec[];
  /** For a function. */
  readonly fn?: GraphFunction;
  /** Which inputs of a call carried a mask. */
  readonly masked?: readonly boolean[];
}

/** Walks through the steps of the graph with shapes only. */
function walkThrough(model: Layer, params: Tree<Tensor>): Found[] {
  const found: Found[] = [];
  const inputs = declaredInputs(model);
  const references = referencesIn(model.options.inputs);
  treeLeaves<Spec>(inputs).forEach((spec, index) => {
    found[references[index].node] = { outputs: [spec] };
  });
  const others = stepsOf(model).flatMap((step, index) => step.shape === undefined ? [index] : []).values();
  const record = (step: Found) => {
    const { value = 0 } = others.next(); // the walk visits the steps in order
    found[value] = step;
  };
  const ofLayers = params as readonly Tree<Tensor>[]; // a container's params are a list
  if (!isContainer(model)) {
    throw new TypeError(`Cannot write the Keras file: ${layerName(model)} is no graph`);
  }
  model.walk(inputs as Tree<Tensor>, undefined, { // specs stand for tensors
    call: (index, input, extras) => {
      const result = callSpecs(model.layers[index], ofLayers[index], input, extras);
      const masked = masksOfLeaves(input, extras.mask).map((mask) => mask !== undefined);
      record({ outputs: treeLeaves<Spec>(result.output), masked });
      return result;
    },
    compute: (step, args, masks) => {
      const result = functionSpecs(step, args, masks);
      record({ outputs: treeLeaves<Spec>(result.output), fn: step.fn });
      return result;
    },
  });
  return found;
}

/** The spec of the result of a mask operation. */
function specOfMask(
  { className, args, config }: MaskOperation,
  specOf: (reference: Reference) => Spec,
): Spec {
  const shapes = args.flatMap((arg) => typeof arg === "number" ? [] : arg).map((arg) => specOf(arg).shape);
  const [first, second] = shapes;
  const shape = (): Shape => {
    switch (className) {
      case "Any":
        return first.slice(0, -1);
      case "ExpandDims":
        return [...first, 1];
      case "LogicalOr":
        return second;
      case "Concatenate": {
        const axis = Number(config.axis) < 0 ? Number(config.axis) + first.length : Number(config.axis);
        const whole = shapes.map((shape) => shape[axis]).reduce(addDims);
        return first.map((dim, at) => at === axis ? whole : dim);
      }
    }
    return first;
  };
  return { shape: shape(), dtype: "bool" };
}

/**
 * The functional model.
 *
 * @throws TypeError for a function that is not a Keras operation, and for a call that Keras would compute
 * differently.
 */
export function writeGraph({ layer: model, name, params }: Written): { [key: string]: Json } {
  checkContainer(model);
  const { nodes, operations, resolve } = kerasGraph(model);
  const found = walkThrough(model, params);
  nodes.forEach(({ operation }, node) => {
    if (operation) {
      found[node] = { outputs: [specOfMask(operation, ({ node, index }) => found[node].outputs[index])] };
    }
  });
  const layers = model.layers ?? [];
  const ofLayers = params as readonly Tree<Tensor>[]; // a container's params are a list
  const inputNames = nodes.map(({ step }) => step?.input ?? undefined);
  const taken = inputNames.filter((name) => name !== undefined);
  const layerNames = namesOf(layers, taken);
  const free = freeNames([...taken, ...layerNames]);
  const nameOf = ({ step, operation }: KerasNode, node: number): string => {
    if (step?.layer !== undefined) return layerNames[step.layer];
    if (operation) return free(snakeCaseOfClass(operation.className));
    return inputNames[node] ?? free(snakeCaseOfClass(found[node].fn?.name ?? "") || "input_layer");
  };

  /** The operation name of each node, and which of its calls the node is. */
  const calls = new Map<number, { readonly name: string; readonly call: number }>();
  for (const made of operations) {
    const [first] = made;
    const name = nameOf(nodes[first], first);
    made.forEach((node, call) => calls.set(node, { name, call }));
  }
  checkTakenMasks(model, { nodes, resolve }, (node) => calls.has(node) ? found[node].masked : undefined);
  const historyOf = (reference: Reference): Json => {
    const { node, index } = resolve(reference);
    const { name, call } = calls.get(node)!; // every node that is read belongs to an operation
    return [name, call, index];
  };
  const tensorOf = (reference: Reference): Json => {
    const { node, index } = resolve(reference);
    const { shape, dtype } = found[node].outputs[index];
    const config = { shape: batchShape(shape), dtype, keras_history: historyOf(reference) };
    return { class_name: "__keras_tensor__", config };
  };

  const callJson = (step: GraphStep, node: number): Json => {
    const layer = layers[step.layer ?? 0];
    const readsCast = referencesIn(step.inputs).some(({ node }) => isTokenCast(nodes[node].step));
    const { masks: own, unmasked = false } = nodes[node];
    const ofModel = referencesIn(step.inputs).some(({ node }) => { // with the mask of its run
      const { layer } = nodes[node].step ?? {};
      return layer !== undefined && isContainer(layers[layer]);
    });
    const handed = unmasked || ofModel || (own?.some((mask) => mask !== undefined) ?? false);
    checkCall(layer, step, found[node].masked?.includes(true) ?? false, handed, readsCast);
    const masks = nodes[node].masks?.map((mask) => mask === undefined ? null : tensorOf(mask));
    const given = step.mask === undefined ? undefined : mapReferences(step.mask, tensorOf);
    const mask = given ?? (masks && masksJson(step.inputs ?? [], masks));
    const inputs = mapReferences(step.inputs ?? [], tensorOf) as Json; // a tree of JSON
    const { args, kwargs } = isAttention(layer)
      ? attentionArguments(layer, inputs)
      : { args: [inputs], kwargs: {} };
    return {
      args,
      kwargs: {
        ...kwargs,
        ...(step.initialState === undefined
          ? {}
          : { initial_state: stateJson(layer, step.initialState, tensorOf) }),
        ...(mask === undefined ? {} : { mask }),
      },
    };
  };

  const json = operations.map((made) => {
    const [first] = made;
    const { name } = calls.get(first)!; // every operation was just named
    const { step, operation } = nodes[first];
    const { fn, outputs } = found[first];
    if (operation) return operationJson(operation, name, tensorOf);
    if (step?.layer !== undefined) {
      const written = writeLayer(
        { layer: layers[step.layer], name, params: ofLayers[step.layer] },
        writeGraph,
      );
      return {
        ...written,
        name,
        inbound_nodes: made.map((node) => callJson(nodes[node].step ?? step, node)),
      };
    }
    if (fn !== undefined) return functionJson(fn, name, referencesIn(step?.inputs), tensorOf);
    return { ...inputJson(name, outputs[0]), name, inbound_nodes: [] };
  });
  const ends = (tree: Json) =>
    mapReferences(tree, (reference) => {
      const { step } = nodes[reference.node];
      const { name, call } = calls.get(reference.node)!; // as above
      const isModel = step?.layer !== undefined && layers[step.layer].type === "model";
      if (!isTokenCast(step)) return [name, isModel ? call + 1 : call, reference.index]; // Keras adds one
      throw new TypeError(
        `Cannot write the Keras file: an output of ${layerName(model)} is a cast to tokens`,
      );
    });
  return {
    module: "keras.src.models.functional",
    class_name: "Functional",
    config: {
      name,
      ...(model.trainable ? {} : { trainable: false }), // Keras passes true to layers that are frozen
      layers: json,
      input_layers: ends(model.options.inputs),
      output_layers: ends(model.options.outputs),
    },
    registered_name: "Functional",
  };
}

/**
 * Throws where attention would see other masks in Keras than here.
 *
 * @param maskedOf Which inputs of a call carry a mask here; undefined for a node that is not written.
 */
function checkTakenMasks(
  model: Layer,
  { nodes, resolve }: Pick<KerasGraph, "nodes" | "resolve">,
  maskedOf: (node: number) => readonly boolean[] | undefined,
): void {
  const taken = takenMasks();
  nodes.forEach(({ step, masks }, node) => {
    const masked = maskedOf(node);
    const layer = model.layers?.[step?.layer ?? -1];
    if (layer === undefined || masked === undefined) return;
    taken({
      key: (index) => `${node}.${index}`,
      layer,
      inputs: referencesIn(step?.inputs).map(resolve).map(({ node, index }) => `${node}.${index}`),
      masked,
      isGiven: step?.mask !== undefined || masks !== undefined,
      differs: (what) =>
        new TypeError(
          `Cannot write the Keras file: a call of ${
            layerName(layer)
          } has an input with ${what} ${TAKEN}; ${REMEDY}`,
        ),
    });
  });
}

/** Masks in a tree like that of the inputs. */
function masksJson(inputs: Json, masks: readonly Json[]): Json {
  const order = referencesIn(inputs);
  return mapReferences(inputs, ({ node, index }) => {
    return masks[order.findIndex((other) => other.node === node && other.index === index)];
  });
}

/** An initial state: a list, flat for both directions together, otherwise nested like the cells. */
function stateJson(layer: Layer, state: Json, tensorOf: (reference: Reference) => Json): Json {
  if (layer.type === "bidirectional" || !Array.isArray(state)) return referencesIn(state).map(tensorOf);
  return mapReferences(state, tensorOf);
}

/** Throws for a call that Keras would compute differently. */
function checkCall(
  layer: Layer,
  step: GraphStep,
  masked: boolean,
  handed: boolean,
  readsCast: boolean,
): void {
  const refuse = (reason: string) => {
    throw new TypeError(`Cannot write the Keras file: a call of ${layerName(layer)} ${reason}`);
  };
  if (step.resets !== undefined) {
    refuse("is given resets, which no layer in Keras takes; give it the sequences apart, with masks");
  }
  if (step.initialState !== undefined && step.mask === undefined && masked && !ignoresMask(layer)) {
    refuse(
      "is given an initial state and an input with a mask, and Keras drops such a mask; give the mask to the call",
    );
  }
  if (step.mask !== undefined && !takesMask(layer)) {
    refuse("is given a mask, which its class in Keras does not take");
  }
  if (masked && !handed && step.mask === undefined && step.initialState === undefined && takesMask(layer)) {
    refuse("reads a sequence whose mask Keras would not have there; give the mask to the call");
  }
  if ((masked || step.mask !== undefined) && !countsAsKeras(layer)) refuse(countsOtherwise(layer));
  if (readsCast && !takesTokens(layer)) {
    refuse("reads a cast to tokens, which Keras makes in an Embedding alone");
  }
}

function functionJson(
  fn: GraphFunction,
  name: string,
  inputs: readonly Reference[],
  tensorOf: (reference: Reference) => Json,
): { [key: string]: Json } {
  const operation = fn === toTokens ? undefined : operationOf(fn, inputs.length);
  if (operation === undefined) {
    throw new TypeError(
      `Cannot write the Keras file: the function ${
        fn.name || "without a name"
      } of apply has no equivalent in Keras, ` +
        `and code is not part of its files; give apply an operation such as add or tanh itself, or use merge(...)`,
    );
  }
  const tensors = inputs[Symbol.iterator]();
  const args = operation.args.map((arg) => arg ?? tensors.next().value!); // as many as the function takes
  const { className, config = {} } = operation;
  return operationJson({ className, args, config }, name, tensorOf);
}

/** A Keras operation with its single call. */
function operationJson(
  { className, args, config }: MaskOperation,
  name: string,
  tensorOf: (reference: Reference) => Json,
): { [key: string]: Json } {
  const { key, ...options } = config; // the key of GetItem is an argument
  const argJson = (arg: MaskOperation["args"][number]): Json => {
    if (typeof arg === "number") return arg;
    return "node" in arg ? tensorOf(arg) : arg.map(tensorOf);
  };
  return {
    module: moduleOf(className),
    class_name: className,
    config: { name, ...options },
    registered_name: className,
    name,
    inbound_nodes: [{ args: [...args.map(argJson), ...(key === undefined ? [] : [key])], kwargs: {} }],
  };
}
