/** Weights alone: `.weights.h5` files for an existing model. */
import type { Layer, Variables } from "../../src/layers/mod.ts";
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import { getWeights, sequential, setWeights } from "../../src/models/mod.ts";
import { isContainer } from "../../src/models/container.ts";
import { fixedDim } from "../../src/tensor/dims.ts";
import { host, type HostTensor, type Tensor } from "../../src/tensor/tensor.ts";
import { isArchive, readArchive } from "./archive.ts";
import { readHdf5, type WeightGroup, writeHdf5 } from "./hdf5.ts";
import { defineOptions, type KerasReadOptions } from "./limits.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { storedWeights } from "./stored.ts";
import { toHost } from "../../src/tree/to_host.ts";

/** A model as Keras has it: a single layer is a sequential model of one. */
export function asModel(layer: Layer, variables: Variables): { model: Layer; variables: Variables } {
  if (isContainer(layer)) return { model: layer, variables };
  return {
    model: sequential([layer]),
    variables: { params: [variables.params], state: [variables.state] },
  };
}

/**
 * The variables with the weights of a file: a `.weights.h5` (Keras's `model.save_weights`), or those in a
 * `.keras`.
 *
 * The model must be built like the one that was saved: Keras stores weights by the classes and the order of
 * layers, not by their names. The state of stateful layers is not stored and is kept.
 *
 * @param model The model; any other layer is treated as the only layer of a sequential model in Keras.
 * @param variables Its variables, as `init` makes them; not changed.
 * @param bytes The whole file.
 * @throws KerasFileError for a damaged or hostile file, or weights that do not fit, naming the place.
 * @throws TypeError for a layer or cell that Keras does not have.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { loadKerasWeights, saveKerasWeights } from "@cellfold/cellfold/keras";
 * const layer = sequential([lstm({ units: 3 })]);
 * const trained = init(layer, key(0), spec([null, null, 2]));
 * const file = await saveKerasWeights(layer, trained); // Keras: model.load_weights("….weights.h5")
 * const fresh = init(layer, key(1), spec([null, null, 2]));
 * assertEquals(await loadKerasWeights(layer, fresh, file), trained);
 * ```
 */
export async function loadKerasWeights(
  model: Layer,
  variables: Variables,
  bytes: Uint8Array,
  options: KerasReadOptions = {},
): Promise<Variables> {
  checkLayer("read Keras weights", model);
  checkVariables("read Keras weights", variables);
  const { maxBytes } = defineOptions("loadKerasWeights", bytes, options);
  const whole = asModel(model, variables);
  const layout = layoutOf(whole.model);
  checkCovered(layout, whole.variables);
  const weights = isArchive(bytes) ? (await readArchive(bytes, maxBytes)).weights : bytes;
  const loaded = await readHdf5(weights, maxBytes, (file) => {
    const stored = storedWeights(layout, file);
    const present = new Map(getWeights(whole.variables).map(({ path, tensor }) => [path, tensor]));
    const found = [...stored].map(([path, place]): [string, Tensor] => [
      path,
      file.tensor(place, shapeAt(present, path)),
    ]);
    return Object.fromEntries(found);
  });
  const { params, state } = setWeights(whole.variables, loaded);
  if (whole.model === model) return { params, state };
  return {
    params: (params as readonly Variables["params"][])[0],
    state: (state as readonly Variables["state"][])[0],
  };
}

/** The shape of a variable of a layer of the model. */
function shapeAt(present: ReadonlyMap<string, Tensor>, path: string): number[] {
  const tensor = present.get(path);
  if (tensor) return tensor.shape.map((dim) => fixedDim(dim, "A weight"));
  throw new TypeError(
    `Cannot use these variables with the model: they have no ${path}, only ${[...present.keys()].join(", ")}`,
  );
}

/**
 * A `.weights.h5` file, which `model.load_weights("….weights.h5")` reads in Keras 3 for a model of the same
 * layers.
 *
 * The state of stateful layers is not a weight in Keras and is left out.
 *
 * @param model The model; a single layer is written as a sequential model of one.
 * @throws TypeError for a layer or cell that Keras does not have, naming it, or variables of another model.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, spec } from "@cellfold/cellfold";
 * import { saveKerasWeights } from "@cellfold/cellfold/keras";
 * const layer = dense({ units: 2 });
 * const bytes = await saveKerasWeights(layer, init(layer, key(0), spec([null, 3])));
 * assertEquals(String.fromCharCode(...bytes.subarray(1, 4)), "HDF"); // await Deno.writeFile("one.weights.h5", bytes)
 * ```
 */
export async function saveKerasWeights(model: Layer, variables: Variables): Promise<Uint8Array> {
  checkLayer("write Keras weights", model);
  checkVariables("write Keras weights", variables);
  const whole = asModel(model, variables);
  return await writeHdf5(await weightGroups(whole.model, whole.variables));
}

/**
 * Throws for variables that Keras has no place for, which would be lost, except the carry of a stateful
 * layer.
 */
function checkCovered({ owners }: Layout, variables: Variables): void {
  const places = new Set(
    owners.flatMap(({ rows, variables }) =>
      rows.map(({ name, part }) => [part, ...variables, name].join("."))
    ),
  );
  const lost = getWeights(variables).find(({ path }) =>
    !places.has(path) && !path.split(".").includes("carry")
  );
  if (lost === undefined) return;
  throw new TypeError(
    `Cannot use Keras files with the variable ${lost.path}: the layer that it belongs to has no such weight in Keras`,
  );
}

/** The groups of the file. */
export async function weightGroups(model: Layer, variables: Variables): Promise<WeightGroup[]> {
  const { params, state } = variables;
  const layout = layoutOf(model);
  checkCovered(layout, variables);
  const present = new Map(
    getWeights(await toHost({ params, state })).map(({ path, tensor }) => [path, tensor]),
  );
  const read = (path: string): HostTensor => {
    shapeAt(present, path);
    const tensor = host(present.get(path)!); // just looked up
    if (tensor.dtype === "float32") return tensor;
    throw new TypeError(
      `Cannot write the Keras file: the weight ${path} is ${tensor.dtype}, expected float32`,
    );
  };
  return layout.owners.map(({ path, name, rows, variables }) => ({
    path: `${path}/vars`,
    attributes: { name },
    tensors: rows.map(({ name, part, unread }) => unread ?? read([part, ...variables, name].join("."))),
  }));
}
