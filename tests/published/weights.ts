/** Files with weights alone, and the models around them, which their packages write as code. */
import {
  apply,
  call,
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
  sequential,
  spec,
  sqrt,
  square,
  sum,
  type Tensor,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { decodeNpz, decodeTorchFile, fromTorch } from "@cellfold/cellfold/torch";
import type { Reader, ReadModel } from "./reader.ts";

/** A model of one input and one output. */
function single(model: Layer, variables: Variables, output: string): ReadModel {
  return {
    run: async (inputs) => {
      const [given] = Object.values(inputs);
      return { [output]: await predict(model, variables, given) as HostTensor }; // it has one output
    },
    variables,
    apply: (variables, inputs) => {
      const [given] = Object.values(inputs);
      const output: Tree<Tensor> = model.apply(variables, given, { training: false }).output;
      return [output as Tensor]; // it has one output
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
  return single(
    whole,
    fromTorch(whole, variables, tensors, { modules, strict: false }),
    Object.keys(outputs)[0],
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
  return single(
    whole,
    fromTorch(whole, variables, stateDict, { cells: ["encoder"] }),
    Object.keys(outputs)[0],
  );
};
