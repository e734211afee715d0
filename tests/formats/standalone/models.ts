/** The models that tests export: those of the guide, and what else a model can have. */
import {
  add,
  apply,
  argmax,
  batchNormalization,
  bidirectional,
  call,
  convLstm2d,
  dense,
  dropout,
  einsum,
  embedding,
  flatten,
  gru,
  gruCell,
  input,
  iota,
  type Layer,
  layerNormalization,
  layerNormLstm,
  layerNormLstmCell,
  lstm,
  lstmCell,
  masking,
  matmul,
  mean,
  model,
  mul,
  normalization,
  type RecurrentCell,
  rnn,
  sequential,
  sigmoid,
  simpleRnn,
  slice,
  softmax,
  sort,
  type Spec,
  spec,
  splitKey,
  stackedCells,
  sub,
  tanh,
  type Tensor,
  timeDistributed,
  topK,
  transpose,
  type Tree,
  treeLeaves,
  uniform,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";

/** A model to export. */
export interface Exported {
  readonly model: Layer;
  /** Specs of its input, with what may be open left open. */
  readonly input: Tree<Spec>;
  /** Specs of the masks that it takes; default: none. */
  readonly mask?: Tree<Spec>;
  /** Sizes to predict, by the names of the open ones. */
  readonly sizes: readonly Readonly<Record<string, number>>[];
  /** Tokens are below this; default 20. */
  readonly tokens?: number;
  /** What a stream refuses, as a part of its message; absent if it can be fed step by step. */
  readonly refused?: string;
}

/** The sizes of most tests: one row and one step, more than a tile, and back to few. */
const SIZES = [{ batch: 1, time: 1 }, { batch: 17, time: 30 }, { batch: 3, time: 7 }];

/** The cell of the guide's section on cells, with one gate. */
export function singleGateCell(
  units: number,
): RecurrentCell<Readonly<Record<string, Tensor>>, Tensor, Tensor, Tensor> {
  return {
    type: "singleGateCell",
    options: { units },
    initParams(key, input) {
      const [first, second, third] = splitKey(key, 3);
      const features = fixedSize(input, 1);
      return {
        gate: uniform(first, [features, units]),
        kernel: uniform(second, [features, units]),
        recurrentKernel: uniform(third, [units, units]),
      };
    },
    initState: (_, input) => zeros([input.shape[0], units]),
    step: ({ gate, kernel, recurrentKernel }) => (h, x) => {
      const f = sigmoid(matmul(x, gate));
      const candidate = tanh(add(matmul(x, kernel), matmul(h, recurrentKernel)));
      const next = add(mul(f, h), mul(sub(1, f), candidate));
      return [next, next];
    },
  };
}

/** The cell of the guide's section on nested inputs: two tensors, with outputs and states of two ranks. */
function nestedCell(): RecurrentCell<
  Readonly<Record<"one" | "two", Tensor>>,
  readonly [Tensor, Tensor],
  Tree<Tensor>,
  Tree<Tensor>
> {
  return {
    type: "nestedCell",
    options: {},
    initParams: (key) => ({ one: uniform(key, [3, 5]), two: uniform(key, [4, 2, 3, 2]) }),
    initState(_, input) {
      const [{ shape: [batch] }] = treeLeaves<Spec>(input);
      return [zeros([batch, 5]), zeros([batch, 3, 2])];
    },
    step: ({ one, two }) => ([s1, s2], input) => {
      const [x1, x2] = treeLeaves<Tensor>(input);
      const y1 = add(matmul(x1, one), s1), y2 = add(einsum("bij,ijkl->bkl", x2, two), s2);
      return [{ y: [y1, y2] }, [y1, y2]];
    },
  };
}

/** The guide's encoder and decoder. */
function translator(): Layer {
  const source = input([null], { dtype: "int32", name: "source" });
  const embedded = call(embedding({ inputDim: 20, outputDim: 6 }), source);
  const [, state] = call(lstm({ units: 8, returnState: true }), embedded);
  const target = input([null], { dtype: "int32", name: "target" });
  const read = call(embedding({ inputDim: 20, outputDim: 6 }), target);
  const decoded = call(lstm({ units: 8 }), read, { initialState: state });
  return model({ inputs: { source, target }, outputs: call(dense({ units: 10 }), decoded) });
}

/** The guide's sequences that are packed into rows. */
function packedReader(): Layer {
  const steps = input([null, 3], { name: "steps" });
  const resets = input([null], { name: "resets", dtype: "bool" });
  const states = call(lstm({ units: 4, returnSequences: true }), steps, { resets });
  return model({ inputs: { steps, resets }, outputs: call(dense({ units: 1 }), states) });
}

/** Attention over all steps, positions, a mean over time, and outputs that are shorter or counted. */
function attentive(): Layer {
  const x = input([null, 4], { name: "x" });
  const h = call(gru({ units: 6, returnSequences: true }), x);
  const attended = apply((h: Tensor) => {
    const time = h.shape[1];
    const scores = softmax(matmul(h, transpose(h, { permutation: [0, 2, 1] })));
    return add(matmul(scores, h), iota([1, time, 1], { axis: 1, dtype: "float32" }));
  }, h);
  return model({
    inputs: x,
    outputs: {
      attended,
      mean: apply((a: Tensor) => mean(a, { axes: 1 }), attended),
      best: apply((a: Tensor) => argmax(a, { axis: 1 }), attended),
      first: [apply((h: Tensor) => slice(h, { start: [0, 0, 0], size: [h.shape[0], 1, 3] }), h)],
    },
  });
}

/** The features of each step in order, and the best two of them. */
function sorting(): Layer {
  const x = input([null, 4], { name: "x" });
  return model({
    inputs: x,
    outputs: apply((x: Tensor) => ({ sorted: sort(x, { axis: -1 }), best: topK(x, { k: 2 }) }), x),
  });
}

const digits = (recurrent: Layer) => sequential([recurrent, batchNormalization(), dense({ units: 10 })]);

/** By name. */
export const models: Readonly<Record<string, Exported>> = {
  "1. a first model": {
    model: sequential([
      embedding({ inputDim: 1000, outputDim: 64 }),
      lstm({ units: 128 }),
      dense({ units: 10 }),
    ]),
    input: spec([null, null], "int32"),
    tokens: 1000,
    sizes: SIZES,
  },
  "1. gru and simpleRnn": {
    model: sequential([
      embedding({ inputDim: 50, outputDim: 8 }),
      gru({ units: 24, returnSequences: true }),
      simpleRnn({ units: 12 }),
      dense({ units: 10 }),
    ]),
    input: spec([null, null], "int32"),
    sizes: SIZES,
  },
  "2. outputs and states": {
    model: lstm({ units: 4, returnState: true }),
    input: spec([null, null, 5]),
    sizes: SIZES,
  },
  "3. encoder and decoder": {
    model: translator(),
    input: { source: spec([null, "source"], "int32"), target: spec([null, "target"], "int32") },
    sizes: [{ batch: 2, source: 5, target: 3 }, { batch: 1, source: 2, target: 9 }],
    refused: "Cannot feed",
  },
  "4. stacked cells": {
    model: rnn(stackedCells([lstmCell({ units: 8 }), gruCell({ units: 5 })])),
    input: spec([null, null, 3]),
    sizes: SIZES,
  },
  "4. a cell of one's own": {
    model: rnn(singleGateCell(2), { returnSequences: true }),
    input: spec([null, null, 3]),
    sizes: SIZES,
  },
  "5. a stateful layer": {
    model: lstm({ units: 16, stateful: true }),
    input: spec([3, null, 5]),
    sizes: [{ time: 4 }, { time: 9 }],
  },
  "7. both ways": {
    model: sequential([
      bidirectional(lstm({ units: 12, returnSequences: true })),
      bidirectional(lstm({ units: 9 })),
      dense({ units: 10 }),
    ]),
    input: spec([null, 5, 10]),
    sizes: [{ batch: 2 }, { batch: 7 }],
    refused: "bidirectional",
  },
  "8. digits": { model: digits(lstm({ units: 64 })), input: spec([null, 28, 28]), sizes: [{ batch: 3 }] },
  "8. digits by relu": {
    model: digits(lstm({ units: 20, activation: "relu", useBias: false })),
    input: spec([null, null, 28]),
    sizes: SIZES,
  },
  "8. digits with normalized cells": {
    model: digits(rnn(layerNormLstmCell({ units: 10 }))),
    input: spec([null, null, 28]),
    sizes: SIZES,
  },
  "9. nested inputs": {
    model: rnn(nestedCell(), { returnSequences: true }),
    input: { i_1: spec([null, null, 3]), i_2: spec([null, null, 4, 2]) },
    sizes: SIZES,
  },
  "windows and statistics": {
    model: sequential([
      normalization({ mean: [50], variance: [200] }),
      gru({ units: 8 }),
      dense({ units: 1 }),
    ]),
    input: spec([null, null, 1]),
    sizes: SIZES,
  },
  "letters": {
    model: sequential([
      embedding({ inputDim: 20, outputDim: 8 }),
      gru({ units: 32, returnSequences: true }),
      dense({ units: 20 }),
    ]),
    input: spec([null, null], "int32"),
    sizes: SIZES,
  },
  "masks of words and sentences": {
    model: sequential([
      embedding({ inputDim: 10, outputDim: 4, maskZero: true }),
      timeDistributed(lstm({ units: 3 })),
      gru({ units: 2, goBackwards: true }),
    ]),
    input: spec([null, 2, 3], "int32"),
    tokens: 10,
    sizes: [{ batch: 1 }, { batch: 5 }],
    refused: "gru",
  },
  "masked tokens": {
    model: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      lstm({ units: 5, returnSequences: true }),
      layerNormalization(),
      gru({ units: 3 }),
    ]),
    input: spec([null, null], "int32"),
    tokens: 6,
    sizes: SIZES,
  },
  "masked values": {
    model: sequential([masking({ maskValue: 0 }), layerNormLstm({ units: 6 }), dropout({ rate: 0.5 })]),
    input: spec([null, null, 2]),
    sizes: SIZES,
  },
  "resets": {
    model: packedReader(),
    input: { steps: spec([null, null, 3]), resets: spec([null, null], "bool") },
    sizes: SIZES,
  },
  "frames": {
    model: sequential([convLstm2d({ filters: 2, kernelSize: 3 }), flatten(), dense({ units: 3 })]),
    input: spec([null, null, 6, 5, 1]),
    sizes: [{ batch: 2, time: 3 }, { batch: 1, time: 5 }],
  },
  "attention": {
    model: attentive(),
    input: spec([null, null, 4]),
    sizes: SIZES,
    refused: "depends on other steps",
  },
  "features in order": {
    model: sorting(),
    input: spec([5, null, 4]),
    sizes: [{ time: 1 }, { time: 7 }],
    refused: "depends on other steps", // sorting finds rows by their number in the whole sequence
  },
  "no recurrent layer": {
    model: sequential([dense({ units: 7, activation: "tanh" }), dense({ units: 2 })]),
    input: spec([null, null, 4]),
    sizes: SIZES,
  },
};
