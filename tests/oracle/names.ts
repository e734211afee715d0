/**
 * Keras's names as ours: options and activations in camelCase, weights as the paths of our params. Nothing here knows
 * a layer.
 */
import { readConstraint, readRegularizer } from "../../formats/keras/weight_rules.ts";
import type { Json as KerasJson } from "../../src/options/json.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { mapTree, type Tree } from "../../src/tree/tree.ts";
import { isObject, type Json, type JsonObject } from "./format.ts";

/** Tensors by the oracle's names. */
export type Named = Readonly<Record<string, Tensor>>;

/** `recurrent_kernel` as `recurrentKernel`. */
export function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** What changes no number of a case: its weights are given, and its dtypes are those of its tensors. */
const withoutEffect =
  /^(name|dtype|seed|implementation|use_cudnn|input_length|.*_initializer|(batch_|batch_input_|input_)shape)$/;

/** What Keras writes, as null or false, for something that it does not do here and that we have no option for. */
const withoutValue =
  /_(regularizer|constraint)$|^(use_ema|time_major|sparse|rms_scaling|synchronized|renorm|lora_rank|quantization_config|ema_overwrite_frequency|loss_scale_factor|gradient_accumulation_steps)$/;

/** Regularizers and constraints, which the readers of Keras's files know. */
const ofWeights = /_(regularizer|constraint)$/;

function ruleOf(option: string, value: Json): Json {
  const rule = (option.endsWith("_regularizer") ? readRegularizer : readConstraint)(value as KerasJson); // JSON, both
  if (rule !== undefined) return rule as Json;
  throw new Error(`there is no ${option} ${JSON.stringify(value)}`);
}

/**
 * Options in our spelling: names and words in camelCase; what has no effect on a case's numbers is left out. An option
 * that the layer does not have stays, so that the layer refuses it.
 */
export function optionsOf(config: JsonObject, ...apart: readonly string[]): Record<string, Json> {
  const options: Record<string, Json> = {};
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined || apart.includes(key) || withoutEffect.test(key)) continue;
    if (withoutValue.test(key) && (value === null || value === false)) continue;
    if (ofWeights.test(key) && value !== null) {
      options[camelCase(key)] = ruleOf(key, value);
      continue;
    }
    options[camelCase(key)] = typeof value === "string" ? camelCase(value) : value;
  }
  return options;
}

/** A weight's name as the path of a leaf: `cell0/recurrent_kernel` is `0/recurrentKernel`. */
function pathOf(name: string): string {
  return name.split("/").map((part) => camelCase(part.replace(/^cell(?=\d+$)/, ""))).join("/");
}

/**
 * A tree with every leaf replaced by the tensor whose name is the leaf's path; a leaf that nothing is given for stays
 * where `optional`.
 *
 * @throws Error naming the leaf that nothing is given for.
 */
export function fillTree(tree: Tree<Tensor>, given: Named, optional = false): Tree<Tensor> {
  const byPath = new Map(Object.entries(given).map(([name, tensor]) => [pathOf(name), tensor]));
  return mapTree(tree, (leaf: Tensor, path) => {
    const name = path.join("/");
    const found = byPath.get(name);
    if (found || optional) return found ?? leaf;
    throw new Error(`the case has no weight for ${name}, only ${Object.keys(given).join(", ")}`);
  });
}

/** The leaves of a tree by the oracle's names; of `names`, those that the tree has. */
export function namedLeaves(tree: Tree<Tensor>, names: readonly string[]): Record<string, Tensor> {
  const leaves = new Map<string, Tensor>();
  mapTree(tree, (leaf: Tensor, path) => {
    leaves.set(path.join("/"), leaf);
    return leaf;
  });
  return Object.fromEntries(names.flatMap((name) => {
    const leaf = leaves.get(pathOf(name));
    return leaf ? [[name, leaf]] : [];
  }));
}

/** Something of Keras with its options: `{ class_name, config }`, or the name alone. */
export interface KerasObject {
  readonly className: string;
  readonly config: JsonObject;
}

/** Reads a `KerasObject`. */
export function kerasObject(value: Json | undefined): KerasObject {
  if (typeof value === "string") return { className: value, config: {} };
  if (isObject(value) && typeof value.class_name === "string") {
    return { className: value.class_name, config: isObject(value.config) ? value.config : {} };
  }
  throw new Error(`expected { class_name, config }, got ${JSON.stringify(value)?.slice(0, 60)}`);
}

/** The list of `KerasObject`s of an option. */
export function kerasObjects(config: JsonObject, key: string): KerasObject[] {
  const list = config[key];
  if (Array.isArray(list)) return list.map((item: Json) => kerasObject(item));
  throw new Error(`${key} is ${JSON.stringify(list)?.slice(0, 60)}, expected a list`);
}
