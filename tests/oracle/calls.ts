/** Cases of one call: a layer, a model, a cell's step, an activation, an encoder with its decoder. */
import type { Layer, Mask, Variables } from "../../src/layers/layer.ts";
import { resolveActivation } from "../../src/operations/activations.ts";
import type { ActivationLike } from "../../src/operations/activations.ts";
import { notEqual } from "../../src/operations/elementwise.ts";
import { key } from "../../src/operations/random.ts";
import { concat } from "../../src/operations/structure.ts";
import { isTensor, type Spec, specOf, type Tensor } from "../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../src/tree/tree.ts";
import {
  isObject,
  type JsonObject,
  type OracleCase,
  type OracleTensors,
  tensorOf,
  tensorsIn,
} from "./format.ts";
import type { Forward } from "./forward.ts";
import { cellOf, flatNames, layerOf, outputNames, stateNames, stateOf } from "./layers.ts";
import { camelCase, fillTree, type KerasObject, type Named, namedLeaves } from "./names.ts";

/** What a case runs, as Keras names it. */
export function objectOf({ layer, config }: OracleCase): KerasObject {
  return { className: layer, config };
}

/** Variables of a layer for inputs of these specs, of the structure that the layer makes. */
export function variablesLike(layer: Layer, input: Tree<Spec>): Variables {
  const params = layer.initParams(key(0), input);
  return { params, state: layer.initState(params, input) };
}

/** The variables of a case: the layer's own structure with the case's tensors in it. */
export function variablesOf(like: Variables, tensors: Named): Variables {
  return { params: fillTree(like.params, tensors), state: fillTree(like.state, tensors, true) };
}

/** The input of a layer: `x`, for the nested cell a pair, or a list of `x_0`, `x_1` and so on. */
export function inputOf<T extends Spec>(
  { className }: KerasObject,
  tensors: Readonly<Record<string, T>>,
): Tree<T> {
  if (/NestedCell/.test(className)) return [tensors.x_1, tensors.x_2];
  if (tensors.x !== undefined) return tensors.x;
  return Object.keys(tensors).filter((name) => /^x_\d+$/.test(name)).sort().map((name) => tensors[name]);
}

/** The masks of the tensors of a list, `mask_0`, `mask_1` and so on, where there are any. */
function masksOf(tensors: Named): Mask {
  const names = Object.keys(tensors).filter((name) => /^x_\d+$/.test(name)).sort();
  const masks = names.map((name) => tensors[name.replace("x", "mask")]);
  return masks.some((mask) => mask !== undefined) ? masks : undefined;
}

/** The leaves of an output by the names in their order. */
export function namedOutputs(names: readonly string[], output: Tree<Tensor>): Record<string, Tensor> {
  const leaves = treeLeaves<Tensor>(output);
  if (leaves.length !== names.length) {
    throw new Error(`the output has ${leaves.length} tensors, expected ${names.join(", ")}`);
  }
  return Object.fromEntries(names.map((name, index) => [name, leaves[index]]));
}

/**
 * Whether a case trains. The files do not say so, but a batch normalization that trains moves its statistics, and one
 * that does not leaves them as they were.
 */
function trains({ config, fields, place }: OracleCase): boolean {
  if (typeof config.training === "boolean") return config.training;
  const weights = tensorsIn(fields, "weights", place);
  const outputs = isObject(fields.outputs) ? fields.outputs : {};
  return ["moving_mean", "moving_variance"].some((name) => {
    const after = outputs[`${name}_after`];
    return isObject(after) && String(after.data) !== String(weights[name]?.data);
  });
}

/** A call of a layer or a model with everything that the case names. */
export function layerCall(oracleCase: OracleCase): Forward {
  const { fields, place, config } = oracleCase;
  const { training: _, ...options } = config;
  const object: KerasObject = { className: oracleCase.layer, config: options };
  const layer = layerOf(object);
  const inputs = tensorsIn(fields, "inputs", place);
  const like = variablesLike(layer, inputOf(object, specsOf(inputs)));
  const training = trains(oracleCase);
  const prefix = "initial_state_";
  const initial = Object.keys(inputs).some((name) => name.startsWith(prefix));
  const names = outputNames(object);
  return (tensors) => {
    const applied = layer.apply(variablesOf(like, tensors), inputOf(object, tensors), {
      training,
      key: training ? key(0) : undefined,
      mask: tensors.mask ?? masksOf(tensors),
      initialState: initial ? stateOf(stateNames(object, prefix), tensors) : undefined,
    });
    const after = Object.entries(namedLeaves(applied.state, ["moving_mean", "moving_variance"]))
      .map(([name, tensor]) => [`${name}_after`, tensor]);
    return {
      ...namedOutputs(names, applied.output),
      ...Object.fromEntries(after),
      ...(isTensor(applied.mask) ? { mask: applied.mask } : {}),
    };
  };
}

/** Specs of the oracle's tensors, as ours. */
function specsOf(tensors: OracleTensors): Record<string, Spec> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, specOf(tensorOf(tensor))]),
  );
}

/** One step of a cell: `x` and `state_*` to `output` and `new_state_*`. */
export function cellStep(oracleCase: OracleCase): Forward {
  const object = objectOf(oracleCase);
  const cell = cellOf(object);
  const input = inputOf(object, specsOf(tensorsIn(oracleCase.fields, "inputs", oracleCase.place)));
  const like = cell.initParams(key(0), input);
  const outputs = /NestedCell/.test(object.className) ? ["output_1", "output_2_3"] : ["output"];
  return (tensors) => {
    const step = cell.step(fillTree(like, tensors), { training: false, input });
    const [output, state] = step(
      stateOf(stateNames(object, "state_"), tensors),
      inputOf(object, tensors),
    );
    return {
      ...namedOutputs(outputs, output),
      ...namedOutputs(flatNames(stateNames(object, "new_state_")), state),
    };
  };
}

/** An activation alone. */
export function activationCall({ config }: OracleCase): Forward {
  const name = typeof config.activation === "string" ? camelCase(config.activation) : config.activation;
  const activate = resolveActivation(name as ActivationLike); // an unknown name is refused
  return ({ x }) => ({ output: activate(x) });
}

/** The tensors whose names begin with `prefix/`, without it. */
function below(prefix: string, tensors: Named): Named {
  const start = `${prefix}/`;
  return Object.fromEntries(
    Object.entries(tensors).filter(([name]) => name.startsWith(start))
      .map(([name, tensor]) => [name.slice(start.length), tensor]),
  );
}

/**
 * The guide's encoder and decoder: the encoder's state is what the decoder begins with. With a bidirectional encoder
 * the decoder begins with both directions' states side by side.
 */
export function encoderDecoder({ config, fields, place }: OracleCase): Forward {
  const part = (name: string): KerasObject => ({
    className: String(config.rnn),
    config: isObject(config[name]) ? config[name] : {},
  });
  const twoWays = config.encoder_bidirectional === true;
  const embeddings = (which: "encoder" | "decoder") =>
    layerOf({
      className: "Embedding",
      config: {
        input_dim: config[`${which}_vocab`],
        output_dim: config.embedding_dim,
        mask_zero: config.mask_zero,
      },
    });
  const [embedSource, embedTarget] = [embeddings("encoder"), embeddings("decoder")];
  const encoderObject: KerasObject = twoWays
    ? { className: "Bidirectional", config: { layer: { class_name: config.rnn, config: config.encoder } } }
    : part("encoder");
  const [encoder, decoder] = [layerOf(encoderObject), layerOf(part("decoder"))];
  const project = layerOf({ className: "Dense", config: denseConfig(config) });
  const { encoder_input: sourceTokens, decoder_input: targetTokens } = specsOf(
    tensorsIn(fields, "inputs", place),
  );
  const vectors = ({ shape }: Spec): Spec => ({
    shape: [...shape, Number(config.embedding_dim)],
    dtype: "float32",
  });
  const hidden: Spec = {
    shape: [targetTokens.shape[0], Number(part("decoder").config.units)],
    dtype: "float32",
  };
  // Made here, as nothing is drawn inside a trace.
  const like = {
    embedSource: variablesLike(embedSource, sourceTokens),
    embedTarget: variablesLike(embedTarget, targetTokens),
    encoder: variablesLike(encoder, vectors(sourceTokens)),
    decoder: variablesLike(decoder, vectors(targetTokens)),
    project: variablesLike(project, hidden),
  };
  const parts = { embedSource, embedTarget, encoder, decoder, project };
  const run = (
    name: keyof typeof parts,
    input: Tensor,
    tensors: Named,
    extras: { readonly mask?: Tensor; readonly initialState?: Tree<Tensor> } = {},
  ) => {
    const applied = parts[name].apply(variablesOf(like[name], tensors), input, {
      training: false,
      ...extras,
    });
    return { leaves: treeLeaves<Tensor>(applied.output), mask: applied.mask };
  };
  const oneMask = (mask: unknown) => isTensor(mask) ? mask : undefined;
  return (tensors) => {
    const source = run("embedSource", tensors.encoder_input, { embeddings: tensors.encoder_embedding });
    const target = run("embedTarget", tensors.decoder_input, { embeddings: tensors.decoder_embedding });
    const encoded = run("encoder", source.leaves[0], below("encoder", tensors), {
      mask: oneMask(source.mask),
    });
    const [encoderOutput, ...states] = encoded.leaves;
    const half = states.length / 2;
    const joined = twoWays
      ? states.slice(0, half).map((state, index) => concat([state, states[half + index]], { axis: -1 }))
      : states;
    const [stateH, stateC] = joined;
    const explicit = typeof config.decoder_mask === "string" && config.decoder_mask.includes("!= 0");
    const decoded = run("decoder", target.leaves[0], below("decoder", tensors), {
      mask: explicit ? notEqual(tensors.decoder_input, 0) : undefined,
      initialState: stateC ? [stateH, stateC] : stateH,
    });
    const projected = run("project", decoded.leaves[0], below("dense", tensors));
    return {
      output: projected.leaves[0],
      decoder_output: decoded.leaves[0],
      encoder_output: encoderOutput,
      encoder_state_h: stateH,
      ...(stateC ? { encoder_state_c: stateC } : {}),
    };
  };
}

function denseConfig(config: JsonObject): JsonObject {
  return { units: config.dense_units, activation: config.dense_activation ?? "linear" };
}
