/** How a file of each format becomes something that runs and has a gradient. */
import {
  type HostTensor,
  type Layer,
  predict,
  type Spec,
  type Tensor,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { fromKeras } from "@cellfold/cellfold/keras";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { mapTree } from "../../src/tree/tree.ts";
import type { Named, Reader } from "./reader.ts";
import { readG2p, readResemblyzer, readSilero } from "./weights.ts";

/** A model of tensors by name, or of one tensor alone. */
function applied(model: Layer, variables: Variables, inputs: Named<Tensor>): readonly Tensor[] {
  const several = Object.values(inputs);
  const given: Tree<Tensor> = several.length === 1 ? several[0] : inputs;
  const { output } = model.apply(variables, given, { training: false });
  return leavesOf(output);
}

function leavesOf(output: unknown): readonly Tensor[] {
  const one = output as Tensor & Named<Tensor>; // a tree of a known form
  if (typeof one.dtype === "string") return [one];
  return Object.keys(one).sort().map((name) => one[name]);
}

/** Inputs of the same value at every call, which the model does not compute with. */
const CONSTANTS = ["sr"];

const readOnnx: Reader = (bytes, { inputs }) => {
  const constants = Object.fromEntries(
    CONSTANTS.filter((name) => inputs[name]).map((name) => [name, Number(inputs[name].data[0])]),
  );
  const { run, model, variables } = fromOnnx(bytes, { constants });
  const open = (all: Named<Tensor>) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !(name in constants)));
  return Promise.resolve({
    run: (given, options) => run(open(given), options),
    variables,
    apply: (variables, given) => applied(model, variables, open(given)),
  });
};

const readKeras: Reader = async (bytes) => {
  const { model, variables, input } = await fromKeras(bytes);
  // Inputs and outputs are numbered in the order of the file.
  const given = (all: Named<Tensor>): Tree<Tensor> => {
    let at = 0;
    return mapTree<Tree<Spec>>(input, () => all[at++]) as Tree<Tensor>;
  };
  return {
    run: async (inputs, options) => {
      const outputs = leavesOf(await predict(model, variables, given(inputs), options));
      return Object.fromEntries(outputs.map((output, at) => [at, output as HostTensor]));
    },
    variables,
    apply: (variables, inputs) => leavesOf(model.apply(variables, given(inputs), { training: false }).output),
  };
};

/** Readers by the end of a file's name. */
export const readers: readonly (readonly [ending: RegExp, read: Reader])[] = [
  [/\.onnx$/, readOnnx],
  [/\.(h5|hdf5|keras)$/, readKeras],
  [/resemblyzer\/pretrained\.pt$/, readResemblyzer],
  [/g2p_en\/checkpoint20\.npz$/, readG2p],
  [/silero_vad_16k\.safetensors$/, readSilero],
];
