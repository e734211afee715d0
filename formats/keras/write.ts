/** Writes a model with its variables as a `.keras` file. */
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import type { Layer, LayerOptions, Variables } from "../../src/layers/mod.ts";
import { checkOptions } from "../../src/option_names.ts";
import type { Json } from "../../src/options/json.ts";
import type { Spec, Tensor } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { writeArchive } from "./archive.ts";
import { ACTIVATIONS, HARD_SIGMOID } from "./dialect.ts";
import { writeHdf5 } from "./hdf5.ts";
import { asModel, weightGroups } from "./model_weights.ts";
import { isList, isObject } from "./objects.ts";
import { configOf } from "./write_config.ts";
import { checkName, type Written } from "./write_layers.ts";

/** Options of {@linkcode toKeras}. */
export interface KerasWriteOptions {
  /** The model's name in Keras; default its own, or `sequential` or `functional`. */
  readonly name?: LayerOptions["name"];
  /**
   * The input of a model that does not declare it, such as a `sequential`: a spec such as
   * `spec([null, null, 28])`, or a tensor, whose first axis becomes an open batch. Not for a graph, which has
   * inputs.
   */
  readonly input?: Tree<Spec | Tensor>;
}

/** The Keras version whose format is written. */
const KERAS_VERSION = "3.15.1";

/**
 * A `.keras` file, which `keras.saving.load_model("….keras")` reads: the configuration and weights of a
 * model.
 *
 * The model is not compiled: an optimizer, losses and metrics are not included. `checkpointEvery` is not
 * written, as it affects how a layer is trained, not what it computes.
 *
 * @param model A `sequential` or a `model`; another layer is written as a sequential model of one.
 * @param variables Its weights, on the host or a device.
 * @throws TypeError for a layer, cell, function or option that Keras does not have, naming it, and for a
 *   sequential model without `input`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { fromKeras, toKeras } from "@cellfold/cellfold/keras";
 * const input = spec([null, null, 28]);
 * const digits = sequential([lstm({ units: 8 }), dense({ units: 10 })]);
 * const bytes = await toKeras(digits, init(digits, key(0), input), { input, name: "digits" });
 * // await Deno.writeFile("digits.keras", bytes); in Python: keras.saving.load_model("digits.keras")
 * assertEquals((await fromKeras(bytes)).model.name, "digits");
 * ```
 */
export async function toKeras(
  model: Layer,
  variables: Variables,
  options: KerasWriteOptions = {},
): Promise<Uint8Array> {
  checkLayer("write a Keras file", model);
  checkVariables("write a Keras file", variables);
  checkOptions("toKeras", options, ["name", "input"]);
  const whole = asModel(model, variables);
  const fallback = whole.model.type === "model" ? "functional" : "sequential";
  const name = checkName(options.name ?? whole.model.name ?? fallback);
  const groups = await weightGroups(whole.model, whole.variables);
  const written: Written = { layer: whole.model, name, params: whole.variables.params };
  const config = configOf(written, options.input);
  checkHardSigmoid(config, "the model");
  return await writeArchive({
    config: JSON.stringify(config),
    metadata: JSON.stringify({ keras_version: KERAS_VERSION, date_saved: dateSaved(new Date()) }),
    weights: await writeHdf5(groups),
  });
}

/** Throws for the hard sigmoid of Keras 2, which Keras 3 does not have under any name. */
function checkHardSigmoid(json: Json, place: string): void {
  if (isList(json)) return json.forEach((item) => checkHardSigmoid(item, place));
  if (!isObject(json)) return;
  const own = typeof json.name === "string" ? `the layer ${json.name}` : place;
  for (const [option, value] of Object.entries(json)) {
    if (value !== HARD_SIGMOID || !ACTIVATIONS.includes(option)) {
      checkHardSigmoid(value, own);
      continue;
    }
    throw new TypeError(
      `Cannot write the Keras file: the option ${option} of ${own} is hardSigmoidKeras2, which Keras 3 does not ` +
        "have, as its hard_sigmoid has the slope 1/6; write the model with toTfjs or toOnnx, or its weights for " +
        "Keras 2 with saveKerasWeights",
    );
  }
}

/** As Keras writes it: `2025-01-31@12:00:00`. */
function dateSaved(now: Date): string {
  return now.toISOString().slice(0, 19).replace("T", "@");
}
