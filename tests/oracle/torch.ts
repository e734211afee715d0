/**
 * PyTorch's recurrent modules as ours: a case's weights go through `fromTorch`, inside of what is differentiated, so
 * that gradients come out by PyTorch's names and in its layouts.
 */
import { fromTorch } from "../../formats/torch/mod.ts";
import { bidirectional } from "../../src/layers/bidirectional.ts";
import { gru } from "../../src/layers/gru.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { lstm } from "../../src/layers/lstm.ts";
import type { RecurrentLayer } from "../../src/layers/rnn.ts";
import { simpleRnn } from "../../src/layers/simple_rnn.ts";
import { sequential } from "../../src/models/sequential.ts";
import type { ActivationName } from "../../src/operations/activations.ts";
import { less } from "../../src/operations/elementwise.ts";
import { iota } from "../../src/operations/indexing.ts";
import { at, reshape, stack, transpose } from "../../src/operations/structure.ts";
import type { Spec, Tensor } from "../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { variablesLike } from "./calls.ts";
import type { JsonObject, OracleCase } from "./format.ts";
import type { Forward } from "./forward.ts";
import type { Named } from "./names.ts";

/** The options that a module's config may have; any other is refused. */
const known = [
  "input_size",
  "hidden_size",
  "num_layers",
  "bias",
  "batch_first",
  "dropout",
  "bidirectional",
  "proj_size",
  "nonlinearity",
  "packed",
  "enforce_sorted",
  "total_length",
];

/** One layer of a module, in one direction. */
function directionOf(module: string, config: JsonObject): RecurrentLayer {
  const options = {
    units: Number(config.hidden_size),
    useBias: config.bias === true,
    returnSequences: true,
    returnState: true,
    zeroOutputForMask: true,
  };
  switch (module) {
    case "torch.LSTM":
      return lstm({ ...options, projection: Number(config.proj_size) || null });
    case "torch.GRU":
      return gru(options);
    case "torch.RNN":
      return simpleRnn({ ...options, activation: String(config.nonlinearity) as ActivationName }); // checked there
    default:
      throw new Error(`there is no layer for ${module}`);
  }
}

/** The layers of a module, from the lowest. */
function layersOf({ layer: module, config }: OracleCase): Layer[] {
  const unknown = Object.keys(config).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new Error(`there is no option for ${unknown} of ${module}`);
  if (config.dropout !== 0) throw new Error(`dropout is ${config.dropout}, but a case does not draw`);
  return Array.from({ length: Number(config.num_layers) }, () => {
    const layer = directionOf(module, config);
    return config.bidirectional === true ? bidirectional(layer) : layer;
  });
}

/** A mask of the first steps of each row. */
function maskOf(lengths: Tensor, [batch, time]: Spec["shape"]): Tensor {
  return less(iota([batch, time], { axis: 1, dtype: "int32" }), reshape(lengths, [batch, 1]));
}

/** Both parts of what a layer puts out that returns its state. */
function withState(output: Tree<Tensor>): readonly [sequence: Tensor, state: Tree<Tensor>] {
  if (!Array.isArray(output) || output.length !== 2) throw new Error("the output is no [sequence, state]");
  return [treeLeaves<Tensor>(output[0])[0], output[1]];
}

/**
 * A call of nn.LSTM, GRU or RNN. States are `[layers·directions, batch, size]`, the directions of a layer side by side;
 * packed sequences are masks whose steps put out zeros.
 */
export function torchCall(oracleCase: OracleCase): Forward {
  const { config, layer: module, fields } = oracleCase;
  const layers = layersOf(oracleCase);
  const model = sequential(layers);
  const modules = Object.fromEntries(layers.map((_, index) => [nameOf(layers, index), ""]));
  const batchMajor = (x: Tensor) =>
    config.batch_first === true ? x : transpose(x, { permutation: [1, 0, 2] });
  const weights = Object.keys(fields.weights as JsonObject); // an object of tensors, as checked when it was read
  const slots = module === "torch.LSTM" ? ["h", "c"] : ["h"];
  const directions = config.bidirectional === true ? 2 : 1;
  const like = layers.map((layer, index) => {
    const features = index === 0 ? Number(config.input_size) : directions * outputSize(config);
    return variablesLike(layer, { shape: [1, 1, features], dtype: "float32" });
  });
  const template = { params: like.map(({ params }) => params), state: like.map(({ state }) => state) };
  return (tensors: Named) => {
    const stateDict = Object.fromEntries(weights.map((name) => [name, tensors[name]]));
    const variables = fromTorch(model, template, stateDict, { modules });
    const ofLayers = variables.params as readonly Tree<Tensor>[]; // of a sequential model
    let x = batchMajor(tensors.x);
    const mask = tensors.lengths && maskOf(tensors.lengths, x.shape);
    const states: Tree<Tensor>[] = [];
    layers.forEach((layer, index) => {
      const one = (direction: number): Tree<Tensor> => {
        const parts = slots.map((slot) => at(tensors[`${slot}_0`], index * directions + direction));
        return parts.length === 1 ? parts[0] : parts;
      };
      const initialState = tensors.h_0 && (directions === 2 ? [one(0), one(1)] : one(0));
      const variables = { params: ofLayers[index], state: template.state[index] };
      const applied = layer.apply(variables, x, { training: false, mask, initialState });
      const [sequence, state] = withState(applied.output);
      x = sequence;
      states.push(state);
    });
    const final = treeLeaves<Tensor>(states);
    return {
      output: batchMajor(x),
      ...Object.fromEntries(
        slots.map((slot, index) => [`${slot}_n`, stack(final.filter((_, i) => i % slots.length === index))]),
      ),
    };
  };
}

/** The name of a layer in a sequential model: its type, with a number from the second on. */
function nameOf(layers: readonly Layer[], index: number): string {
  return index === 0 ? layers[0].type : `${layers[index].type}_${index}`;
}

function outputSize({ hidden_size, proj_size }: JsonObject): number {
  return Number(proj_size) || Number(hidden_size);
}
