/** Writes a model as TensorFlow.js reads it: `model.json` with files of weights. */
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import { isRecurrentLayer, type Layer, type Variables } from "../../src/layers/mod.ts";
import { isContainer } from "../../src/models/container.ts";
import { checkOptions } from "../../src/option_names.ts";
import type { Json } from "../../src/options/json.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import { groupNames, type WeightOwner } from "../keras/layout.ts";
import { asModel, type OwnWeights, weightsOf } from "../keras/model_weights.ts";
import { snakeCase } from "../keras/names.ts";
import { isList, isObject, type JsonObject } from "../keras/objects.ts";
import type { KerasWriteOptions } from "../keras/write.ts";
import { configOf } from "../keras/write_config.ts";
import { checkName } from "../keras/write_layers.ts";
import { checkForTfjs } from "./checks.ts";
import { inTfjs } from "./in_tfjs.ts";

/** The version of TensorFlow.js whose format is written. */
const TFJS_VERSION = "4.22.0";

/** The largest file of weights, that of TensorFlow.js's converter: browsers keep files of this size. */
const SHARD_BYTES = 4 * 2 ** 20;

/** The files of a model by name, for one folder: `model.json`, `group1-shard1of1.bin`. */
export type TfjsFiles = { readonly [name: string]: Uint8Array<ArrayBuffer> };

/**
 * The files of a layers model, which `tf.loadLayersModel(".../model.json")` reads in TensorFlow.js 4.
 *
 * The model is not compiled: an optimizer, losses and metrics are not included, and of regularizers only L1 and
 * L2 of weights are. Inputs and outputs with names become lists, in the order of their names.
 *
 * @param model A `sequential` or a `model`; another layer is written as a sequential model of one.
 * @param variables Its weights, on the host or a device.
 * @throws TypeError for what TensorFlow.js lacks, naming the layer: a GRU with `resetAfter`, Keras 3's
 *   `hardSigmoid`, functions in a graph, initial states, a `sequential` inside a model, masks that it would
 *   drop or reorder.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { toTfjs } from "@cellfold/cellfold/tfjs";
 * const input = spec([null, null, 28]);
 * const digits = sequential([lstm({ units: 8 }), dense({ units: 10 })]);
 * const files = await toTfjs(digits, init(digits, key(0), input), { input });
 * // for (const name in files) await Deno.writeFile(`digits/${name}`, files[name]);
 * assertEquals(Object.keys(files), ["model.json", "group1-shard1of1.bin"]);
 * ```
 */
export async function toTfjs(
  model: Layer,
  variables: Variables,
  options: KerasWriteOptions = {},
): Promise<TfjsFiles> {
  checkLayer("write a model.json", model);
  checkVariables("write a model.json", variables);
  checkOptions("toTfjs", options, ["name", "input"]);
  const whole = asModel(model, variables);
  checkForTfjs(whole.model);
  const name = checkName(options.name ?? whole.model.name ?? whole.model.type);
  const config = configOf({ layer: whole.model, name, params: whole.variables.params }, options.input);
  const topology = inTfjs(config);
  const { layout, own } = await weightsOf(whole.model, whole.variables);
  const weights = named(whole.model, topology, layout.owners, own);
  const shards = shardsOf(weights.map(({ tensor }) => tensor));
  const paths = shards.map((_, index) => `group1-shard${index + 1}of${shards.length}.bin`);
  const specs = weights.map(({ name, tensor }) => ({
    name,
    shape: tensor.shape.map(Number),
    dtype: "float32",
  }));
  const json: Json = {
    format: "layers-model",
    generatedBy: "Cellfold",
    convertedBy: null,
    modelTopology: { ...topology, keras_version: `tfjs-layers ${TFJS_VERSION}`, backend: "tensor_flow.js" },
    weightsManifest: [{ paths, weights: specs }],
  };
  return Object.fromEntries([
    ["model.json", new TextEncoder().encode(JSON.stringify(json))],
    ...shards.map((shard, index) => [paths[index], shard] as const),
  ]);
}

/** A weight with its name in TensorFlow.js. */
interface Named {
  readonly name: string;
  readonly tensor: HostTensor;
}

/**
 * The weights under the names that TensorFlow.js gives them when it reads the configuration: the layer's name,
 * of a pair the direction's, and the weight's own.
 */
function named(
  model: Layer,
  topology: JsonObject,
  owners: readonly WeightOwner[],
  own: OwnWeights,
): readonly Named[] {
  const found: Named[] = [];
  const add = (owner: WeightOwner, scope: readonly string[], ofKernel = "") => {
    own(owner).forEach((tensor, index) => {
      const name = snakeCase(owner.rows[index].name);
      found.push({ name: [...scope, name === "kernel" ? `${ofKernel}kernel` : name].join("/"), tensor });
    });
  };
  const at = (path: string) => owners.filter((owner) => owner.path === path && owner.rows.length > 0);
  const collect = (layer: Layer, json: Json | undefined, scope: readonly string[], path: string): void => {
    const config = isObject(json) && isObject(json.config) ? json.config : {};
    const [first, second] = layer.layers ?? [];
    if (isContainer(layer)) {
      const layers = (isList(config.layers) ? config.layers : []).filter((inner) =>
        isObject(inner) && inner.class_name !== "InputLayer"
      );
      const below = path === "" ? "layers" : `${path}/layers`;
      [...groupNames(layer, new Map())].forEach(([index, group], place) => {
        collect(layer.layers[index], layers[place], [nameIn(layers[place])], `${below}/${group}`);
      });
    } else if (layer.type === "bidirectional") {
      collect(first, config.layer, [...scope, `forward_${nameIn(config.layer)}`], `${path}/forward_layer`);
      collect(second, config.layer, [...scope, `backward_${nameIn(config.layer)}`], `${path}/backward_layer`);
    } else if (layer.type === "timeDistributed") collect(first, config.layer, scope, `${path}/layer`);
    else if (isRecurrentLayer(layer)) {
      at(`${path}/cell`).forEach((owner) => add(owner, scope));
      owners.filter((owner) => owner.path.startsWith(`${path}/cell/cells/`) && owner.rows.length > 0)
        .forEach((owner, index) => add(owner, [...scope, `RNNCell_${index}`]));
    } else {at(path).forEach((owner) =>
        add(owner, scope, layer.type === "depthwiseConv2d" ? "depthwise_" : "")
      );}
  };
  collect(model, topology, [], "");
  const names = new Set<string>();
  for (const { name } of found) {
    if (names.has(name)) {
      throw new TypeError(
        `Cannot write the model.json: two weights are named ${name}; give their layers names of their own`,
      );
    }
    names.add(name);
  }
  return found;
}

/** The name of a layer that was written. */
function nameIn(json: Json | undefined): string {
  return isObject(json) && isObject(json.config) ? String(json.config.name) : "";
}

/** All numbers, little-endian, in files of at most `SHARD_BYTES`; at least one. */
function shardsOf(tensors: readonly HostTensor[]): readonly Uint8Array<ArrayBuffer>[] {
  const count = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const bytes = new Uint8Array(4 * count);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const { data } of tensors) {
    for (const value of data) {
      view.setFloat32(offset, Number(value), true);
      offset += 4;
    }
  }
  const shards = Array.from({ length: Math.max(1, Math.ceil(bytes.length / SHARD_BYTES)) }, (_, index) => {
    return bytes.slice(index * SHARD_BYTES, (index + 1) * SHARD_BYTES);
  });
  return shards;
}
