/** Reads a `.keras` file as a model with its variables. */
import { defineOptions, type KerasReadOptions } from "./limits.ts";
import type { Layer, Variables } from "../../src/layers/mod.ts";
import { paramSpecs, stateSpecs } from "../../src/models/call_specs.ts";
import { type HostTensor, hostTensor, printSpec, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, type Tree, unflattenTree } from "../../src/tree/tree.ts";
import { readArchive } from "./archive.ts";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError, reading } from "./errors.ts";
import { declaredInputs } from "./graph_order.ts";
import { readGraph } from "./graph_read.ts";
import { readHdf5, type WeightFile } from "./hdf5.ts";
import { layoutOf, type Orders } from "./layout.ts";
import { type KerasObject, kerasObject, parseConfig } from "./objects.ts";
import { inputOfSequential, type LayerContext, placeOf, readLayer } from "./read_layers.ts";
import { checkedCall, MOST_CALLS } from "./sizes.ts";
import { storedWeights } from "./stored.ts";

/** A model from a file. */
export interface KerasModel {
  /** A `sequential` or a `model`; its layers keep their names in Keras. */
  readonly model: Layer;
  /** Its weights: float32 tensors on the host. */
  readonly variables: Variables;
  /** Specs of its input, a tree like the model's: what `init`, `summary` and `toKeras` take. */
  readonly input: Tree<Spec>;
}

/**
 * Reads a `.keras` file, written by Keras 3 with `model.save("….keras")`: a sequential or functional model of
 * layers that this library has too (docs/formats.md lists them).
 *
 * What belongs to training in Keras (optimizer, losses, metrics) is not read, nor are seeds. Integer inputs
 * become int32, as do the float inputs of an `Embedding`, which Keras casts. The state of a stateful layer
 * starts at zero, as Keras does not store it.
 *
 * @param bytes The whole file.
 * @returns The model, its variables and the specs of its input.
 * @throws KerasFileError for a damaged or hostile file, a layer, option or value without an equivalent
 *   (named), weights of another shape than the configuration requires, or a size above `maxBytes`. Nothing is
 *   half loaded.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, type Layer, predict, sequential, spec, type Tensor } from "@cellfold/cellfold";
 * import { toNested, zeros } from "@cellfold/cellfold";
 * import { fromKeras, toKeras } from "@cellfold/cellfold/keras";
 * const input = spec([null, 4]);
 * const layer = sequential([dense({ units: 2, biasInitializer: "ones" })]);
 * const bytes = await toKeras(layer, init(layer, key(0), input), { input });
 * const { model, variables } = await fromKeras(bytes);
 * const output = await predict(model as Layer<Tensor>, variables, zeros([1, 4])); // it has one output
 * assertEquals(toNested(output), [[1, 1]]);
 * ```
 */
export async function fromKeras(bytes: Uint8Array, options: KerasReadOptions = {}): Promise<KerasModel> {
  const { maxBytes } = defineOptions("fromKeras", bytes, options);
  const archive = await readArchive(bytes, maxBytes);
  const object = kerasObject(parseConfig(archive.config, "config.json"), "config.json");
  return await readHdf5(archive.weights, maxBytes, (file) => readModel(object, file, maxBytes));
}

function readModel(object: KerasObject, file: WeightFile, maxBytes: number): KerasModel {
  const orders = new Map<Layer, readonly number[]>();
  const context: LayerContext = {
    file,
    orders,
    budget: { calls: MOST_CALLS },
    results: new Map(),
    path: "",
    depth: 0,
    readGraph,
  };
  if (!["Sequential", "Functional", "Model"].includes(object.className)) {
    throw new KerasFileError(
      "config.json",
      `the model is a ${object.className}, expected Sequential or Functional`,
    );
  }
  const model = readLayer(object, context);
  const place = placeOf(object);
  const input = reading(
    place,
    () => object.className === "Sequential" ? inputOfSequential(object, model) : declaredInputs(model),
  );
  const specs = input as Tree<Tensor>; // specs stand for tensors
  if (object.className === "Sequential") reading(place, () => checkedCall(model, "", specs, {}, context));
  return { model, variables: reading(place, () => variablesOf(model, specs, file, orders, maxBytes)), input };
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
