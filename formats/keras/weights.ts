/** Weights alone: `.weights.h5` files for an existing model. */
import { type Layer, layerName, type Variables } from "../../src/layers/mod.ts";
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import { getWeights, setWeights } from "../../src/models/mod.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { isArchive, readArchive } from "./archive.ts";
import { inFile, KerasFileError } from "./errors.ts";
import { readHdf5, type WeightFile, writeHdf5 } from "./hdf5.ts";
import { defineOptions, type KerasReadOptions } from "./limits.ts";
import { groupNames, layoutOf } from "./layout.ts";
import { isLegacyGroup, legacyWeights } from "./legacy.ts";
import { asModel, checkCovered, shapeAt, weightGroups } from "./model_weights.ts";
import { storedWeights } from "./stored.ts";
import { type Dialect, dialectOf, versionIn } from "./version.ts";

/**
 * The variables with the weights of a file of Keras 3 or Keras 2: a `.weights.h5` or `.h5` of
 * `model.save_weights`, or those in a whole model, `.keras` or `.h5`.
 *
 * The model must be built like the one that was saved: Keras stores weights by the classes and the order of
 * layers, not by their names. Only the `.h5` files of old have names: weights are placed by them where layers
 * of the model have the same, and else by order. The state of stateful layers is not stored and is kept.
 *
 * A `hard_sigmoid` of Keras 2 is `hardSigmoidKeras2` here. A `.weights.h5` does not say which Keras wrote it,
 * so there it is for you to know.
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
  const { weights, metadata } = isArchive(bytes)
    ? await readArchive(bytes, maxBytes)
    : { weights: bytes, metadata: undefined };
  const version = versionIn(metadata);
  const loaded = await readHdf5(weights, maxBytes, (source) => {
    const file = storedFor(whole.model, source, version);
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

/** The file in the present layout, with the weights of an old one placed for the model. */
function storedFor(model: Layer, file: WeightFile, version: string | undefined): WeightFile {
  const root = ["model_weights", ""].find((root) => isLegacyGroup(file, root));
  if (root === undefined) {
    checkHardSigmoid(model, dialectOf("a .keras file", version));
    return file;
  }
  const stated = file.texts(root, "keras_version") ?? file.texts("", "keras_version") ?? ["1"];
  const dialect = dialectOf(root === "" ? "HDF5 of weights" : "a whole-model HDF5", stated[0]);
  return inFile(dialect.about, () => {
    checkHardSigmoid(model, dialect);
    const placed = legacyWeights(file, root);
    for (const [index, group] of groupNames(model, new Map())) {
      placed.place((model.layers ?? [])[index], `layers/${group}`, new Map());
    }
    placed.finish();
    return placed.file;
  });
}

/** Throws for weights of Keras 2 in a layer with Keras 3's hard sigmoid, which would predict something else. */
function checkHardSigmoid(model: Layer, { keras2, about }: Dialect): void {
  if (!keras2) return;
  const uses = (layer: Layer): Layer | undefined =>
    (layer.layers ?? []).map(uses).find((found) => found !== undefined) ??
      // The options of what has layers are those of a graph, which may hold functions.
      (!layer.layers && JSON.stringify(layer.options).includes('"hardSigmoid"') ? layer : undefined);
  const found = uses(model);
  if (found === undefined) return;
  throw new KerasFileError(
    `the layer ${layerName(found)}`,
    "its activation is hardSigmoid, which is that of Keras 3; make it with hardSigmoidKeras2",
    { about },
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
