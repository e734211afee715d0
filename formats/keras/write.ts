/** Writes a model with its variables as a `.keras` file. */
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import type { Layer, LayerOptions, Variables } from "../../src/layers/mod.ts";
import { inputSpecs } from "../../src/models/init.ts";
import { checkOptions } from "../../src/option_names.ts";
import type { Json } from "../../src/options/json.ts";
import { isLeaf, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { writeArchive } from "./archive.ts";
import { inputJson, writeGraph } from "./graph_write.ts";
import { writeHdf5 } from "./hdf5.ts";
import { asModel, weightGroups } from "./model_weights.ts";
import { checkName, writeSequential, type Written } from "./write_layers.ts";

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
  return await writeArchive({
    config: JSON.stringify(configOf(written, options.input)),
    metadata: JSON.stringify({ keras_version: KERAS_VERSION, date_saved: dateSaved(new Date()) }),
    weights: await writeHdf5(groups),
  });
}

function configOf(written: Written, input: KerasWriteOptions["input"]): Json {
  if (written.layer.type === "model") {
    if (input === undefined) return writeGraph(written);
    throw new TypeError(
      "Cannot write the Keras file: a graph has inputs of its own; leave the option input out",
    );
  }
  if (input === undefined || !isLeaf(input)) {
    throw new TypeError(
      "Cannot write the Keras file: a sequential model does not say what it takes; give the spec of its one input, " +
        "as in toKeras(model, variables, { input: spec([null, null, 28]) })",
    );
  }
  const spec = inputSpecs(input) as Spec; // a single leaf, as just checked
  return writeSequential(written, [inputJson("input_layer", spec)], writeGraph);
}

/** As Keras writes it: `2025-01-31@12:00:00`. */
function dateSaved(now: Date): string {
  return now.toISOString().slice(0, 19).replace("T", "@");
}
