/** Reads a `.keras` file, or a whole-model HDF5 file, as a model with its variables. */
import { wrongKind } from "../../src/describe.ts";
import { readArchive } from "./archive.ts";
import { inFile, KerasFileError } from "./errors.ts";
import { isHdf5, readHdf5, type WeightFile } from "./hdf5.ts";
import { inPlace, isLegacyGroup, legacyWeights } from "./legacy.ts";
import { defineOptions, type KerasModelOptions } from "./limits.ts";
import { type KerasModel, modelFrom } from "./model_from.ts";
import { isObject, parseConfig } from "./objects.ts";
import { dialectOf, versionIn } from "./version.ts";

/**
 * Reads a model that Keras 3 or Keras 2 saved, `model.save("….keras")` or `model.save("….h5")`: a sequential
 * or functional model of layers that this library has too (docs/formats.md lists them). Which of them the
 * file is, is found out by itself.
 *
 * The `hard_sigmoid` of Keras 2 becomes `hardSigmoidKeras2`, that of Keras 3 `hardSigmoid`.
 *
 * A file of weights alone, `model.save_weights("….h5")`, is read with the JSON of its model, `model.to_json()`, as the
 * option `config`.
 *
 * What belongs to training in Keras (optimizer, losses, metrics) is not read, nor are seeds. Integer inputs
 * become int32, as do the float inputs of an `Embedding`, which Keras casts. The state of a stateful layer
 * starts at zero, as Keras does not store it.
 *
 * @param bytes The whole file.
 * @returns The model, its variables, the specs of its input, and notes of what was left out.
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
export async function fromKeras(bytes: Uint8Array, options: KerasModelOptions = {}): Promise<KerasModel> {
  const { maxBytes } = defineOptions("fromKeras", bytes, options, ["config"]);
  const { config: given } = options;
  if (given !== undefined && typeof given !== "string") {
    throw wrongKind("use fromKeras", given, "config", "the JSON of a model as a text");
  }
  if (isHdf5(bytes)) {
    return await readHdf5(
      bytes,
      maxBytes,
      (file) => given === undefined ? wholeModel(file, maxBytes) : withConfig(file, given, maxBytes),
    );
  }
  const { config, metadata, weights } = await readArchive(bytes, maxBytes);
  if (given !== undefined) throw hasItsOwn("config.json");
  const dialect = dialectOf("a .keras file", versionIn(metadata));
  return await readHdf5(weights, maxBytes, (file) =>
    inFile(dialect.about, () => {
      return modelFrom({
        config: parseConfig(config, "config.json"),
        dialect,
        weights: inPlace(file),
        maxBytes,
      });
    }));
}

/** The group of the weights in a whole-model HDF5 file. */
const MODEL_WEIGHTS = "model_weights";

/** The configuration in a whole-model HDF5 file. */
const MODEL_CONFIG = "model_config";

/** The model in a whole-model HDF5 file. */
function wholeModel(file: WeightFile, maxBytes: number): KerasModel {
  const [text] = file.texts("", MODEL_CONFIG) ?? [];
  if (text === undefined) {
    throw new KerasFileError(
      "the HDF5 file",
      "it has no attribute model_config, so it has weights alone; read them for a model with loadKerasWeights, or " +
        "give the JSON of the model as the option config",
    );
  }
  const dialect = dialectOf("a whole-model HDF5", file.texts("", VERSION)?.[0] ?? "1");
  return inFile(dialect.about, () => {
    const config = parseConfig(text, MODEL_CONFIG);
    return modelFrom({ config, dialect, weights: legacyWeights(file, MODEL_WEIGHTS), maxBytes });
  });
}

/** The attribute of the version, and its name in the JSON of a model. */
const VERSION = "keras_version";

/** The model of a configuration that is given, with weights of a file that has nothing else. */
function withConfig(file: WeightFile, text: string, maxBytes: number): KerasModel {
  if (file.texts("", MODEL_CONFIG) !== undefined) throw hasItsOwn("the attribute model_config");
  const config = parseConfig(text, "the option config");
  const stated = isObject(config) && typeof config[VERSION] === "string" ? config[VERSION] : undefined;
  const dialect = dialectOf("an HDF5 file of weights", stated ?? file.texts("", VERSION)?.[0]);
  return inFile(dialect.about, () => {
    const weights = isLegacyGroup(file, "") ? legacyWeights(file, "") : inPlace(file);
    return modelFrom({ config, dialect, weights, maxBytes });
  });
}

function hasItsOwn(place: string): KerasFileError {
  return new KerasFileError(
    place,
    "the file has the configuration of its model; read it without the option config",
  );
}
