/** Reads a model from a configuration and weights, wherever these are stored. */
import type { Layer, Variables } from "../../src/layers/mod.ts";
import { paramSpecs, stateSpecs } from "../../src/models/call_specs.ts";
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { type HostTensor, hostTensor, printSpec, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, type Tree, unflattenTree } from "../../src/tree/tree.ts";
import { inKeras3 } from "./dialect.ts";
import { KerasFileError, reading } from "./errors.ts";
import { declaredInputs } from "./graph_order.ts";
import { readGraph } from "./graph_read.ts";
import type { WeightFile } from "./hdf5.ts";
import { checkClasses } from "./lacking.ts";
import { layoutOf, type Orders } from "./layout.ts";
import type { PlacedWeights } from "./legacy.ts";
import { kerasObject } from "./objects.ts";
import { inputOfSequential, type LayerContext, placeOf, readLayer } from "./read_layers.ts";
import { checkedCall, MOST_CALLS } from "./sizes.ts";
import { withoutSlashes } from "./slashes.ts";
import { storedWeights } from "./stored.ts";
import { withoutUnknownRules } from "./training_options.ts";
import type { Dialect } from "./version.ts";

/** A model from a file. */
export interface KerasModel {
  /** A `sequential` or a `model`; its layers keep their names in Keras. */
  readonly model: Layer;
  /** Its weights: float32 tensors on the host. */
  readonly variables: Variables;
  /** Specs of its input, a tree like the model's: what `init`, `summary` and `toKeras` take. */
  readonly input: Tree<Spec>;
  /** What the file says about training that is left out, such as a regularizer: one sentence each. */
  readonly notes: readonly string[];
}

/** What a model is read from. */
export interface ModelSource {
  /** `{ class_name, config }`, in the words of the dialect. */
  readonly config: Json;
  readonly dialect: Dialect;
  readonly weights: PlacedWeights;
  readonly maxBytes: number;
}

/** The model of a configuration, with its weights. */
export function modelFrom({ config, dialect, weights, maxBytes }: ModelSource): KerasModel {
  const { config: own, notes } = withoutUnknownRules(dialect.keras2 ? withoutSlashes(config) : config);
  const modern = inKeras3(own, dialect);
  checkClasses(modern);
  const object = kerasObject(modern, "the configuration");
  const orders = new Map<Layer, readonly number[]>();
  const { file } = weights;
  const context: LayerContext = {
    file,
    orders,
    budget: { calls: MOST_CALLS },
    results: new Map(),
    path: "",
    depth: 0,
    readGraph,
    place: (layer, path) => reading(path, () => weights.place(layer, path, orders)),
    isPlaced: weights.isPlaced,
    masksTravel: dialect.keras2,
  };
  if (!["Sequential", "Functional", "Model"].includes(object.className)) {
    throw new KerasFileError(
      "the configuration",
      `the model is a ${object.className}, expected Sequential or Functional`,
    );
  }
  const model = readLayer(object, context);
  weights.finish();
  const place = placeOf(object);
  const input = reading(
    place,
    () => object.className === "Sequential" ? inputOfSequential(object, model) : declaredInputs(model),
  );
  const specs = input as Tree<Tensor>; // specs stand for tensors
  if (object.className === "Sequential") reading(place, () => checkedCall(model, "", specs, {}, context));
  const variables = reading(place, () => variablesOf(model, specs, file, orders, maxBytes));
  return { model, variables, input, notes };
}

/** The variables of the model, with the values from the file. */
function variablesOf(
  model: Layer,
  input: Tree<Tensor>,
  file: WeightFile,
  orders: Orders,
  maxBytes: number,
): Variables {
  const params = paramSpecs(model, input);
  const specs = { params, state: stateSpecs(model, params, input) };
  const stored = storedWeights(layoutOf(model, orders), file);
  const { leaves, paths, structure } = flattenTree<Spec>(specs);
  return unflattenTree<Variables>(
    structure,
    leaves.map((spec, index) => {
      const path = stored.get(paths[index].join("."));
      const shape = fixedShape(spec, `the variable ${paths[index].join(".")}`);
      return path === undefined ? carryOf(shape, paths[index].join("."), maxBytes) : file.tensor(path, shape);
    }),
  );
}

function fixedShape(spec: Spec, place: string): number[] {
  return spec.shape.map((dim) => {
    if (typeof dim === "number") return dim;
    throw new KerasFileError(place, `its shape ${printSpec(spec)} is not known from the file`);
  });
}

/** What Keras does not store: the state of a stateful layer, which starts at zero. */
function carryOf(shape: readonly number[], path: string, maxBytes: number): HostTensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (!path.split(".").includes("carry") || !(size * 4 <= maxBytes)) {
    throw new KerasFileError(`the variable ${path}`, `there is no weight for it, of shape ${quoted(shape)}`);
  }
  return hostTensor(new Float32Array(size), shape);
}
