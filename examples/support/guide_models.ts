/** The models of the guide (01… to 09…) at its sizes, with data to feed them: what is exported to ONNX and compared. */
import {
  add,
  batchNormalization,
  bidirectional,
  call,
  concat,
  dense,
  einsum,
  embedding,
  gru,
  gruCell,
  init,
  input,
  key,
  type Layer,
  lstm,
  lstmCell,
  mapTree,
  matmul,
  model,
  mul,
  type RecurrentCell,
  reshape,
  rnn,
  sequential,
  sigmoid,
  simpleRnn,
  type Spec,
  spec,
  splitKey,
  stackedCells,
  sub,
  tanh,
  type Tensor,
  tensor,
  type Tree,
  treeLeaves,
  uniform,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";
import { noise } from "./section.ts";

/** A model of the guide. */
export interface GuideModel {
  readonly name: string;
  readonly layer: Layer;
  /** Specs of its input; a size that is null or a name stays open in a file. */
  readonly input: Tree<Spec>;
  /** Data of the input. */
  readonly data: Tree<Tensor>;
}

const range = { min: -0.5, max: 0.5 };

type GateParams = Readonly<Record<"gate" | "kernel" | "recurrentKernel", Tensor>>;

function singleGateCell(units: number): RecurrentCell<GateParams, Tensor, Tensor, Tensor> {
  return {
    type: "singleGateCell",
    options: { units },
    initParams: (key, { shape: [, features] }) => {
      const [first, second, third] = splitKey(key, 3);
      return {
        gate: uniform(first, [features, units], range),
        kernel: uniform(second, [features, units], range),
        recurrentKernel: uniform(third, [units, units], range),
      };
    },
    initState: (_, { shape: [batch] }) => zeros([batch, units]),
    step: ({ gate, kernel, recurrentKernel }) => {
      return (h, x) => {
        const f = sigmoid(matmul(x, gate));
        const candidate = tanh(add(matmul(x, kernel), matmul(h, recurrentKernel)));
        const next = add(mul(f, h), mul(sub(1, f), candidate));
        return [next, next];
      };
    },
  };
}

interface MixingParams {
  readonly kernels: readonly Tensor[];
  readonly recurrentKernel: Tensor;
}

/** A cell for any tree of inputs: a kernel for every tensor in it. */
function mixingCell(units: number): RecurrentCell<MixingParams, Tensor, Tree<Tensor>, Tensor> {
  return {
    type: "mixingCell",
    options: { units },
    initParams: (key, input) => {
      const leaves = treeLeaves<Spec>(input);
      const [forRecurrent, ...keys] = splitKey(key, 1 + leaves.length);
      const kernels = leaves.map(({ shape: [, ...sizes] }, index) =>
        uniform(keys[index], [sizes.reduce<number>((size, dim) => size * Number(dim), 1), units], range)
      );
      return { kernels, recurrentKernel: uniform(forRecurrent, [units, units], range) };
    },
    initState: (_, input) => zeros([treeLeaves<Spec>(input)[0].shape[0], units]),
    step: ({ kernels, recurrentKernel }) => {
      return (h, input) => {
        const flat = treeLeaves<Tensor>(input).map((x) => reshape(x, [x.shape[0], -1]));
        const kernel = concat(kernels, { axis: 0 });
        const next = tanh(add(matmul(concat(flat, { axis: 1 }), kernel), matmul(h, recurrentKernel)));
        return [next, next];
      };
    },
  };
}

interface NestedParams {
  readonly kernel1: Tensor;
  readonly kernel23: Tensor;
}
type Pair = readonly [Tensor, Tensor];

/** The guide's cell of nested inputs, states and outputs. */
export function nestedCell(
  unit1: number,
  unit2: number,
  unit3: number,
): RecurrentCell<NestedParams, Pair, Tree<Tensor>, Pair> {
  return {
    type: "nestedCell",
    options: { unit1, unit2, unit3 },
    initParams: (key, input) => {
      const [first, second] = treeLeaves<Spec>(input);
      const [key1, key2] = splitKey(key, 2);
      const range = { min: -0.05, max: 0.05 };
      return {
        kernel1: uniform(key1, [fixedSize(first, 1), unit1], range),
        kernel23: uniform(key2, [fixedSize(second, 1), fixedSize(second, 2), unit2, unit3], range),
      };
    },
    initState: (_, input) => {
      const [{ shape: [batch] }] = treeLeaves<Spec>(input);
      return [zeros([batch, unit1]), zeros([batch, unit2, unit3])];
    },
    step: ({ kernel1, kernel23 }) => {
      return ([s1, s23], input) => {
        const [x1, x23] = treeLeaves<Tensor>(input);
        const output1 = matmul(x1, kernel1);
        const output23 = einsum("bij,ijkl->bkl", x23, kernel23);
        return [[output1, output23], [add(s1, output1), add(s23, output23)]];
      };
    },
  };
}

function translator() {
  const source = input([null], { dtype: "int32", name: "source" });
  const embedded = call(embedding({ inputDim: 1000, outputDim: 64 }), source);
  const [, state] = call(lstm({ units: 64, returnState: true, name: "encoder" }), embedded);
  const target = input(["target"], { dtype: "int32", name: "target" });
  const decoderInput = call(embedding({ inputDim: 2000, outputDim: 64 }), target);
  const decoded = call(lstm({ units: 64, name: "decoder" }), decoderInput, {
    initialState: state,
  });
  return model({ inputs: { source, target }, outputs: call(dense({ units: 10 }), decoded) });
}

const sentences = tensor([[4, 16, 999, 8], [15, 42, 0, 0]], { dtype: "int32" });
const tokens = spec([null, null], "int32");

/** One model or more for each section. */
export const guideModels: readonly GuideModel[] = [
  {
    name: "guide, 1: a first model",
    layer: sequential([
      embedding({ inputDim: 1000, outputDim: 64 }),
      lstm({ units: 128 }),
      dense({ units: 10 }),
    ]),
    input: tokens,
    data: sentences,
  },
  {
    name: "guide, 2: outputs and states",
    layer: sequential([
      embedding({ inputDim: 1000, outputDim: 64 }),
      gru({ units: 256, returnSequences: true }),
      simpleRnn({ units: 128 }),
      dense({ units: 10 }),
    ]),
    input: tokens,
    data: sentences,
  },
  {
    name: "guide, 3: encoder and decoder",
    layer: translator(),
    input: { source: tokens, target: spec([null, "target"], "int32") },
    data: { source: sentences, target: tensor([[7, 8, 9], [7, 8, 9]], { dtype: "int32" }) },
  },
  {
    name: "guide, 4: stacked cells",
    layer: rnn(stackedCells([lstmCell({ units: 8 }), gruCell({ units: 5 })])),
    input: spec([null, null, 3]),
    data: noise([4, 6, 3]),
  },
  {
    name: "guide, 4: a cell of one's own",
    layer: rnn(singleGateCell(2)),
    input: spec([null, null, 3]),
    data: noise([4, 6, 3]),
  },
  {
    name: "guide, 5 and 6: a stateful layer",
    layer: lstm({ units: 64, stateful: true }),
    input: spec([20, 10, 50]),
    data: noise([20, 10, 50]),
  },
  {
    name: "guide, 7: both ways",
    layer: sequential([
      bidirectional(lstm({ units: 64, returnSequences: true })),
      bidirectional(lstm({ units: 32 })),
      dense({ units: 10 }),
    ]),
    input: spec([null, 5, 10]),
    data: noise([2, 5, 10]),
  },
  {
    name: "guide, 8: digits row by row",
    layer: sequential([lstm({ units: 64 }), batchNormalization(), dense({ units: 10 })]),
    input: spec([null, 28, 28]),
    data: noise([3, 28, 28]),
  },
  {
    name: "guide, 9: nested inputs, a list",
    layer: rnn(nestedCell(10, 20, 30)),
    input: [spec([null, null, 32]), spec([null, null, 64, 32])],
    data: [noise([2, 8, 32], 1), noise([2, 8, 64, 32], 2)],
  },
  {
    name: "guide, 9: nested inputs by name",
    layer: rnn(nestedCell(10, 20, 30)),
    input: { i_1: spec([null, null, 32]), i_2: spec([null, null, 64, 32]) },
    data: { i_1: noise([2, 8, 32], 1), i_2: noise([2, 8, 64, 32], 2) },
  },
  {
    name: "guide, 9: frames of a film",
    layer: rnn(mixingCell(1)),
    input: { video: spec([null, null, 8, 8, 3]), audio: spec([null, null, 16]) },
    data: { video: noise([2, 6, 8, 8, 3], 5), audio: noise([2, 6, 16], 6) },
  },
  {
    name: "guide, 9: handwriting",
    layer: rnn(mixingCell(1)),
    input: { location: [spec([null, null, 1]), spec([null, null, 1])], pressure: spec([null, null, 1]) },
    data: {
      location: [noise([2, 20, 1], 7), noise([2, 20, 1], 8)],
      pressure: noise([2, 20, 1], 9),
    },
  },
];

/** Variables as training might leave them: statistics and biases are no zeros or ones. */
export function usedVariables(layer: Layer, input: Tree<Spec>): Variables {
  let seed = 100;
  const moved = (tree: Tree<Tensor>) =>
    mapTree(tree, (leaf: Tensor, path) => {
      const values = noise(leaf.shape.map(Number), seed++);
      const positive = path.at(-1) === "movingVariance";
      const data = Float32Array.from(values.data, (x) => positive ? 0.5 + x * x : x - 0.5);
      return { ...values, data };
    });
  const { params, state } = init(layer, key(0), input);
  return { params: moved(params), state: moved(state) };
}
