/** A graph as the configuration of a functional model: operations in Keras's order, each with its calls. */
import { isRecurrentLayer, type Layer, layerName } from "../../src/layers/mod.ts";
import { callSpecs } from "../../src/models/call_specs.ts";
import { isContainer } from "../../src/models/container.ts";
import type { Json } from "../../src/options/json.ts";
import type { GraphFunction } from "../../src/models/mod.ts";
import { type Dim, type Shape, symbol } from "../../src/tensor/dims.ts";
import { type DType, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { outputSpecs } from "../../src/transforms/output_specs.ts";
import { mapTree, type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { moduleOf, operationOf, toTokens } from "./functions.ts";
import {
  type GraphStep,
  kerasOperations,
  readBy,
  type Reference,
  referencesIn,
  stepsOf,
} from "./graph_order.ts";
import { freeNames, snakeCaseOfClass } from "./names.ts";
import { takesTokens } from "./read_layers.ts";
import { ignoresMask } from "./states.ts";
import { checkName, kerasJson, namesOf, writeLayer, type Written } from "./write_layers.ts";

/** A shape as Keras writes it: null for what is open. */
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

/** What a walk through the graph finds of each step. */
interface Step {
  readonly outputs: readonly Spec[];
  /** Of a function. */
  readonly fn?: GraphFunction;
  /** Whether a mask came with the input of a call. */
  readonly masked?: boolean;
}

/** The specs of the inputs that a saved graph declares. */
export function declaredInputs(model: Layer): Tree<Spec> {
  const steps = stepsOf(model);
  return mapTree(model.options.inputs, (reference): Spec => {
    const { shape = [], dtype } = steps[referencesIn(reference as Json)[0].step];
    const dims = shape.map((dim) => typeof dim === "number" ? dim : symbol(dim));
    return { shape: dims, dtype: dtype as DType }; // written by the model itself
  }) as Tree<Spec>;
}

/** Walks through the graph on shapes. */
function walkThrough(model: Layer, params: Tree<Tensor>): Step[] {
  const steps = stepsOf(model);
  const found: Step[] = [];
  const inputs = declaredInputs(model);
  const references = referencesIn(model.options.inputs);
  treeLeaves<Spec>(inputs).forEach((spec, index) => {
    found[references[index].step] = { outputs: [spec] };
  });
  const others = steps.flatMap((step, index) => step.shape === undefined ? [index] : []);
  const next = others.values();
  const record = (step: Step) => {
    const { value = 0 } = next.next(); // the walk takes the steps in their order
    found[value] = step;
  };
  const ofLayers = params as readonly Tree<Tensor>[]; // a container's params are a list
  if (!isContainer(model)) {
    throw new TypeError(`Cannot write the Keras file: ${layerName(model)} is no graph`);
  }
  model.walk(inputs as Tree<Tensor>, undefined, { // specs stand for tensors
    call: (index, input, extras) => {
      const result = callSpecs(model.layers[index], ofLayers[index], input, extras);
      record({ outputs: treeLeaves<Spec>(result.output), masked: treeLeaves(extras.mask ?? []).length > 0 });
      return result;
    },
    compute: (fn, args) => {
      const output = outputSpecs(fn, ...args);
      record({ outputs: treeLeaves<Spec>(output), fn });
      return output;
    },
  });
  return found;
}

/**
 * The functional model.
 *
 * @throws TypeError for a function that is no operation of Keras, and for a call that Keras would compute otherwise.
 */
export function writeGraph({ layer: model, name, params }: Written): { [key: string]: Json } {
  const steps = stepsOf(model);
  const found = walkThrough(model, params);
  const layers = model.layers ?? [];
  const ofLayers = params as readonly Tree<Tensor>[]; // a container's params are a list
  const inputNames = steps.map(({ input }) => input ?? undefined);
  const free = freeNames(
    [...inputNames, ...layers.map(({ name }) => name)].filter((name) => name !== undefined),
  );
  const layerNames = namesOf(layers, inputNames.filter((name) => name !== undefined));
  layerNames.forEach((name) => free(name));
  const operations = kerasOperations(model);

  /** The name of the operation of each step, and which of its calls the step is. */
  const calls = new Map<number, { readonly name: string; readonly call: number }>();
  for (const made of operations) {
    const [first] = made;
    const { layer: index } = steps[first];
    const name = index === undefined
      ? inputNames[first] ?? free(found[first].fn ? snakeCaseOfClass(found[first].fn.name) : "input_layer")
      : layerNames[index];
    const start = index !== undefined && layers[index].type === "model" ? 1 : 0; // Keras counts one of its own
    made.forEach((step, call) => calls.set(step, { name, call: start + call }));
  }

  /** Where a tensor comes from: casts of tokens are left out, since Keras casts by itself. */
  const sourceOf = (reference: Reference): Reference =>
    found[reference.step].fn === toTokens ? sourceOf(readBy(steps[reference.step])[0]) : reference;
  const isCast = (reference: Reference) => found[reference.step].fn === toTokens;
  const historyOf = (reference: Reference): Json => {
    const { step, index } = sourceOf(reference);
    const { name, call } = calls.get(step)!; // every step belongs to an operation
    return [name, call, index];
  };
  const tensorOf = (reference: Reference): Json => {
    const { step, index } = sourceOf(reference);
    const { shape, dtype } = found[step].outputs[index];
    const config = { shape: batchShape(shape), dtype, keras_history: historyOf(reference) };
    return { class_name: "__keras_tensor__", config };
  };
  const tensorsOf = (tree: Json): Json => mapReferences(tree, tensorOf);

  const callJson = (step: GraphStep, index: number): Json => {
    const layer = layers[step.layer ?? 0];
    checkCall(layer, step, found[index].masked ?? false, readBy(step).some(isCast));
    return {
      args: [tensorsOf(step.inputs ?? [])],
      kwargs: {
        ...(step.initialState === undefined
          ? {}
          : { initial_state: stateJson(layer, step.initialState, tensorOf) }),
        ...(step.mask === undefined ? {} : { mask: tensorsOf(step.mask) }),
      },
    };
  };

  const json = operations.flatMap((made) => {
    const [first] = made;
    const { name } = calls.get(first)!; // every step belongs to an operation
    const step = steps[first];
    const { fn, outputs } = found[first];
    if (fn === toTokens) return [];
    if (step.layer !== undefined) {
      const written = writeLayer(
        { layer: layers[step.layer], name, params: ofLayers[step.layer] },
        writeGraph,
      );
      return [{ ...written, name, inbound_nodes: made.map((index) => callJson(steps[index], index)) }];
    }
    if (fn === undefined) return [{ ...inputJson(name, outputs[0]), name, inbound_nodes: [] }];
    return [{ ...functionJson(fn, name, readBy(step), tensorOf), name }];
  });
  const ends = (tree: Json) =>
    mapReferences(tree, (reference) => {
      if (!isCast(reference)) return historyOf(reference);
      throw new TypeError(
        `Cannot write the Keras file: an output of ${layerName(model)} is a cast to tokens`,
      );
    });
  return {
    module: "keras.src.models.functional",
    class_name: "Functional",
    config: {
      name,
      ...(model.trainable ? {} : { trainable: false }), // Keras hands true down to layers that are frozen
      layers: json,
      input_layers: ends(model.options.inputs),
      output_layers: ends(model.options.outputs),
    },
    registered_name: "Functional",
  };
}

function mapReferences(tree: Json, change: (reference: Reference) => Json): Json {
  if (Array.isArray(tree)) return tree.map((item) => mapReferences(item, change));
  if (typeof tree === "object" && tree !== null) {
    return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, mapReferences(item, change)]));
  }
  return change(referencesIn(tree)[0]);
}

/** An initial state: a list, flat for both directions together, nested as the cells are otherwise. */
function stateJson(layer: Layer, state: Json, tensorOf: (reference: Reference) => Json): Json {
  if (layer.type === "bidirectional" || !Array.isArray(state)) return referencesIn(state).map(tensorOf);
  return mapReferences(state, tensorOf);
}

/** Throws for a call that Keras would compute otherwise. */
function checkCall(layer: Layer, step: GraphStep, masked: boolean, readsCast: boolean): void {
  const refuse = (reason: string) => {
    throw new TypeError(`Cannot write the Keras file: a call of ${layerName(layer)} ${reason}`);
  };
  if (step.initialState !== undefined && step.mask === undefined && masked && !ignoresMask(layer)) {
    refuse(
      "is given an initial state and an input with a mask, and Keras drops such a mask; give the mask to the call",
    );
  }
  const takesMask = isRecurrentLayer(layer) || ["bidirectional", "batchNormalization"].includes(layer.type);
  if (step.mask !== undefined && !takesMask) {
    refuse("is given a mask, which its class in Keras does not take");
  }
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
  const operation = operationOf(fn, inputs.length);
  if (operation === undefined) {
    throw new TypeError(
      `Cannot write the Keras file: the function ${
        fn.name || "without a name"
      } of apply has no equivalent in Keras, ` +
        `and code is not part of its files; give apply an operation such as add or tanh itself, or use merge(...)`,
    );
  }
  const tensors = inputs.map(tensorOf);
  const { className } = operation;
  return {
    module: moduleOf(className),
    class_name: className,
    config: { name },
    registered_name: className,
    inbound_nodes: [{ args: operation.args.map((arg) => arg ?? tensors.shift() ?? null), kwargs: {} }],
  };
}
