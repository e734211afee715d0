/** Cases of what reads labels from predictions: decoders of CTC, the best tags of a chain, distances of sequences. */
import { crf } from "../../src/layers/crf.ts";
import { viterbi } from "../../src/layers/viterbi.ts";
import { type HostTensor, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { ctcBeamSearch, ctcGreedyDecode, type Decoded } from "../../src/training/ctc_decoding.ts";
import { editDistance } from "../../src/training/edit_distance.ts";
import { compile } from "../../src/transforms/compile.ts";
import type { Device } from "../../src/transforms/devices.ts";
import { compareTensors, type Finding, OUTPUT_TOLERANCE } from "./compare.ts";
import { type OracleCase, tensorsIn, tensorsOf } from "./format.ts";
import { type Named, optionsOf } from "./names.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** What a decoder finds in the inputs of a case, by the names of its outputs. */
type Decode = (oracleCase: OracleCase, inputs: Tensors, device: Device) => Named | Promise<Named>;

/** Rows of different lengths as the oracle has them: -1 follows where a row ends. */
function padded(rows: readonly (readonly number[])[]): Tensor {
  const width = Math.max(1, ...rows.map((row) => row.length));
  return tensor(rows.map((row) => Array.from({ length: width }, (_, at) => row[at] ?? -1)), {
    dtype: "int32",
  });
}

function rowsOf({ shape: [, width], data }: HostTensor): number[][] {
  const values = Array.from(data);
  return Array.from(
    { length: values.length / width },
    (_, row) => values.slice(row * width, (row + 1) * width).filter((value) => value >= 0),
  );
}

function decoded(rows: readonly Decoded[]): Named {
  return {
    labels: padded(rows.map(({ labels }) => labels)),
    log_probability: tensor(rows.map(({ logProbability }) => logProbability)),
  };
}

const decoders: Readonly<Record<string, Decode>> = {
  CtcGreedy: ({ config }, { y_pred, lengths }) =>
    decoded(ctcGreedyDecode(y_pred, { ...optionsOf(config), lengths })),
  CtcBeamSearch: ({ config }, { y_pred, lengths }) =>
    decoded(ctcBeamSearch(y_pred, { ...optionsOf(config), lengths }).map(([best]) => best)),
  Viterbi: async (_, inputs, device) => {
    const chain = crf();
    using best = compile(({ y_pred, mask, ...params }: Named) => {
      const { output } = chain.apply({ params, state: [] }, y_pred, { training: false, mask });
      return viterbi(output as Tensor, { mask }); // a crf puts out one tensor
    }, { device });
    return { ...await best(inputs) };
  },
  EditDistance: (_, { a, b }) => {
    const others = rowsOf(b);
    return { distances: tensor(rowsOf(a).map((row, index) => editDistance(row, others[index]))) };
  },
};

/** Runs a case and compares all that it expects. */
export async function runDecoder(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const { layer, fields, place } = oracleCase;
  const name = layer.slice(layer.indexOf(":") + 1);
  if (!Object.hasOwn(decoders, name)) throw new Error(`there is no decoder ${name}`);
  const found = await decoders[name](oracleCase, tensorsOf(tensorsIn(fields, "inputs", place)), device);
  return compareTensors("outputs", found, tensorsIn(fields, "outputs", place), OUTPUT_TOLERANCE);
}
