/** Files with weights alone, and the models around them, which their packages write as code. */
import {
  add,
  apply,
  call,
  concat,
  conv1d,
  dense,
  div,
  embedding,
  gru,
  type HostTensor,
  init,
  input,
  key,
  type Layer,
  lstm,
  model,
  predict,
  relu,
  reshape,
  reverse,
  sequential,
  sigmoid,
  slice,
  spec,
  split,
  sqrt,
  square,
  sum,
  type Tensor,
  type Tree,
  type Variables,
  zeroPadding1d,
} from "@cellfold/cellfold";
import { decodeSafetensors } from "@cellfold/cellfold/safetensors";
import { decodeNpz, decodeTorchFile, fromTorch } from "@cellfold/cellfold/torch";
import { treeLeaves } from "../../src/tree/tree.ts";
import type { Named, Reader, ReadModel } from "./reader.ts";

/** A model of one input, whose outputs are those expected: one, or several by name. */
function ofOne(model: Layer, variables: Variables, outputs: Named<unknown>): ReadModel {
  const names = Object.keys(outputs);
  return {
    run: async (inputs, options) => {
      const [given] = Object.values(inputs);
      const output: Tree<Tensor> = await predict(model, variables, given, options);
      const found = names.length === 1 ? { [names[0]]: output } : output;
      return found as Named<HostTensor>; // the models here have outputs by name where they have several
    },
    variables,
    apply: (variables, inputs) => {
      const [given] = Object.values(inputs);
      return treeLeaves<Tensor>(model.apply(variables, given, { training: false }).output);
    },
  };
}

/** The embedding of a voice: three layers of LSTM over mel bands, and a vector of length 1. */
export const readResemblyzer: Reader = async (bytes, { outputs }) => {
  const { tensors } = await decodeTorchFile(bytes);
  const mels = input([null, 40]);
  const layers = [0, 1, 2].map((at) => lstm({ units: 256, returnSequences: at < 2, name: `layer${at}` }));
  const last = layers.reduce((x, layer) => call(layer, x), mels);
  const raw = apply(relu, call(dense({ units: 256, name: "linear" }), last));
  const unit = (x: Tensor) => div(x, sqrt(sum(square(x), { axes: [1], keepDims: true })));
  const whole = model({ inputs: mels, outputs: apply(unit, raw) });
  const modules = Object.fromEntries(layers.map((_, at) => [`layer${at}`, "lstm"]));
  const variables = init(whole, key(0), spec([null, null, 40]));
  return ofOne(
    whole,
    fromTorch(whole, variables, tensors, { modules, strict: false }),
    outputs,
  );
};

/** The encoder of letters into sounds: a GRU. */
export const readG2p: Reader = async (bytes, { outputs }) => {
  const arrays = await decodeNpz(bytes);
  const [letters, features] = arrays.enc_emb.shape;
  const whole = sequential([
    embedding({ inputDim: letters, outputDim: features, name: "letters" }),
    gru({ units: 256, name: "encoder" }),
  ]);
  const stateDict = {
    "letters.weight": arrays.enc_emb,
    "encoder.weight_ih": arrays.enc_w_ih,
    "encoder.weight_hh": arrays.enc_w_hh,
    "encoder.bias_ih": arrays.enc_b_ih,
    "encoder.bias_hh": arrays.enc_b_hh,
  };
  const variables = init(whole, key(0), spec([null, null], "int32"));
  return ofOne(
    whole,
    fromTorch(whole, variables, stateDict, { cells: ["encoder"] }),
    outputs,
  );
};

/** Steps at the end that are mirrored, without the last one. */
const MIRRORED = 64;

function mirrorEnd(x: Tensor): Tensor {
  const [batch] = x.shape;
  const steps = Number(x.shape[1]);
  const end = slice(x, { start: [0, steps - 1 - MIRRORED], size: [batch, MIRRORED] });
  return reshape(concat([x, reverse(end, 1)], { axis: 1 }), [batch, steps + MIRRORED, 1]);
}

/** The magnitudes of a spectrum: its real parts come before the imaginary ones. */
function magnitudes(x: Tensor): Tensor {
  const [real, imaginary] = split(x, 2, { axis: 2 });
  return sqrt(add(square(real), square(imaginary)));
}

/** Voice activity at 16 kHz: a transform by convolution, four convolutions, a cell, and one more. */
export const readSilero: Reader = (bytes, { inputs, outputs }) => {
  const { tensors } = decodeSafetensors(bytes);
  const samples = input([inputs.input.shape[1]]);
  const spectrum = call(
    conv1d({ filters: 258, kernelSize: 256, strides: 128, useBias: false, name: "stft_conv" }),
    apply(mirrorEnd, samples),
  );
  const sizes = [[128, 1], [64, 2], [64, 2], [128, 1]];
  const encoded = sizes.reduce(
    (x, [filters, strides], index) =>
      call(
        conv1d({ filters, strides, kernelSize: 3, activation: "relu", name: `conv${index + 1}` }),
        call(zeroPadding1d({ padding: 1 }), x),
      ),
    apply(magnitudes, spectrum),
  );
  const [hidden, [h, c]] = call(
    lstm({ units: 128, returnSequences: true, returnState: true, name: "lstm_cell" }),
    encoded,
  );
  const voice = call(conv1d({ filters: 1, kernelSize: 1, name: "final_conv" }), apply(relu, hidden));
  const output = apply((x) => reshape(sigmoid(x), [x.shape[0]]), voice);
  const whole = model({ inputs: samples, outputs: { output, h, c } });
  const variables = fromTorch(whole, init(whole, key(0), inputs.input), tensors, { cells: ["lstm_cell"] });
  return Promise.resolve(ofOne(whole, variables, outputs));
};
