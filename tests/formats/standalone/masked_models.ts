/** Models that take masks with their input, and predictions of the library with masks. */
import {
  bidirectional,
  call,
  defineLayer,
  dense,
  embedding,
  globalAveragePooling1d,
  gru,
  type HostTensor,
  input,
  type Layer,
  layerNormalization,
  lstm,
  mapTree,
  type Mask,
  masking,
  model,
  multiHeadAttention,
  predict,
  rnn,
  sequential,
  type Spec,
  spec,
  timeDistributed,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { randomFrom } from "../../fuzz/random.ts";
import { type Exported, singleGateCell } from "./models.ts";
import { DEVICE } from "./support.ts";

const SEQUENCE = spec([null, null], "bool");
/** One row and one step; one row for each kind of mask, and more; and back to few. */
const SIZES = [{ batch: 1, time: 1 }, { batch: 11, time: 13 }, { batch: 5, time: 6 }];

/** Attention of a sequence to itself, twice, around recurrent layers. */
function attentive(): Layer {
  const x = input([null, 4], { name: "x" });
  const attended = (from: typeof x, name: string) => {
    const own = call(layerNormalization(), from);
    return call(multiHeadAttention({ numHeads: 2, keyDim: 3, name }), [own, own]);
  };
  const first = call(gru({ units: 6, returnSequences: true }), attended(x, "first"));
  return model({ inputs: x, outputs: call(globalAveragePooling1d(), attended(first, "second")) });
}

/** Two sequences, of which the second begins where the first ends. */
function translator(): Layer {
  const source = input([null, 3], { name: "source" }), target = input([null, 2], { name: "target" });
  const [, state] = call(lstm({ units: 5, returnState: true }), source);
  return model({
    inputs: { source, target },
    outputs: call(lstm({ units: 5, returnSequences: true }), target, { initialState: state }),
  });
}

/** By name. */
export const maskedModels: Readonly<Record<string, Exported>> = {
  "a mask of lstm": {
    model: lstm({ units: 6, returnSequences: true }),
    input: spec([null, null, 3]),
    mask: SEQUENCE,
    sizes: SIZES,
  },
  "a mask of rows of a batch that is fixed": {
    model: sequential([lstm({ units: 6 }), dense({ units: 2 })]),
    input: spec([5, null, 3]),
    mask: spec([5, null], "bool"),
    sizes: [{ time: 1 }, { time: 13 }],
  },
  "a mask of gru, with zeros where no step counts": {
    model: sequential([
      gru({ units: 5, returnSequences: true, zeroOutputForMask: true }),
      dense({ units: 2 }),
    ]),
    input: spec([null, null, 3]),
    mask: SEQUENCE,
    sizes: SIZES,
  },
  "a mask of a cell of one's own": {
    model: rnn(singleGateCell(4), { returnSequences: true }),
    input: spec([null, null, 3]),
    mask: SEQUENCE,
    sizes: SIZES,
  },
  "a mask of both ways, stacked": {
    model: sequential([
      bidirectional(lstm({ units: 6, returnSequences: true })),
      bidirectional(gru({ units: 5 })),
      dense({ units: 3 }),
    ]),
    input: spec([null, 7, 4]),
    mask: spec([null, 7], "bool"),
    sizes: [{ batch: 1 }, { batch: 11 }],
    refused: "bidirectional",
  },
  "a mask of backwards layers": {
    model: sequential([lstm({ units: 6, goBackwards: true, returnSequences: true }), gru({ units: 3 })]),
    input: spec([null, null, 2]),
    mask: SEQUENCE,
    sizes: SIZES,
    refused: "lstm",
  },
  "a mask of attention": {
    model: attentive(),
    input: spec([null, null, 4]),
    mask: SEQUENCE,
    sizes: SIZES,
    refused: "depends on other steps",
  },
  "a mask beside those that layers make": {
    model: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      lstm({ units: 5, returnSequences: true }),
      masking({ maskValue: 0 }),
      gru({ units: 3 }),
    ]),
    input: spec([null, null], "int32"),
    mask: SEQUENCE,
    tokens: 6,
    sizes: SIZES,
  },
  "a mask of words in sentences": {
    model: sequential([timeDistributed(lstm({ units: 3 })), gru({ units: 2 })]),
    input: spec([null, 3, 4, 2]),
    mask: spec([null, 3, 4], "bool"),
    sizes: [{ batch: 1 }, { batch: 11 }],
  },
  "a mask of one of two sequences": {
    model: translator(),
    input: { source: spec([null, "source", 3]), target: spec([null, "target", 2]) },
    mask: { source: spec([null, "source"], "bool") },
    sizes: [{ batch: 1, source: 5, target: 3 }, { batch: 11, source: 6, target: 2 }],
    refused: "Cannot feed",
  },
  "masks of two sequences": {
    model: translator(),
    input: { source: spec([null, "source", 3]), target: spec([null, "target", 2]) },
    mask: { source: spec([null, "source"], "bool"), target: spec([null, "target"], "bool") },
    sizes: [{ batch: 1, source: 5, target: 3 }, { batch: 11, source: 6, target: 2 }],
    refused: "Cannot feed",
  },
};

/** The steps of a row that count: none, the last ones, the first ones, some, all. */
const KINDS: readonly ((at: number, steps: number, isSome: () => boolean) => boolean)[] = [
  () => false,
  (at, steps) => at >= steps / 2,
  (at, steps) => at < steps / 2,
  (_, __, isSome) => isSome(),
  () => true,
];

/** Masks with rows of all kinds in turn, by a seed; undefined for a model that takes none. */
export function maskOf(
  { mask }: Exported,
  sizes: Readonly<Record<string, number>>,
  seed: number,
): Tree<HostTensor> | undefined {
  if (mask === undefined) return undefined;
  const random = randomFrom(seed);
  return mapTree(mask, ({ shape }: Spec): HostTensor => {
    const [rows, ...steps] = shape.map((dim) => typeof dim === "number" ? dim : sizes[String(dim)]);
    const count = steps.reduce((size, dim) => size * dim, 1);
    const data = Uint8Array.from({ length: rows * count }, (_, index) => {
      const kind = KINDS[(seed + Math.floor(index / count)) % KINDS.length];
      return Number(kind(index % count, count, () => random.whole(0, 1) === 1));
    });
    return { kind: "host", shape: [rows, ...steps], dtype: "bool", data };
  });
}

/** The model as one whose input brings the mask along. */
function withMask(model: Layer): Layer {
  return defineLayer({
    type: "withMask",
    options: {},
    masksInput: true,
    initParams: (key, input) => model.initParams(key, input),
    apply(variables, given, context) {
      const { input, mask } = given as { readonly input: Tree<HostTensor>; readonly mask: Mask }; // as below
      return model.apply(variables, input, { ...context, mask });
    },
  });
}

/** What the library predicts for an input in one batch, with a mask if there is one. */
export async function predictionOf(
  { model }: Exported,
  variables: Variables,
  input: Tree<HostTensor>,
  mask: Tree<HostTensor> | undefined,
): Promise<Tree<HostTensor>> {
  const [{ shape: [batchSize] }] = treeLeaves<HostTensor>(input);
  const options = { device: DEVICE, batchSize };
  const output = mask === undefined
    ? await predict(model, variables, input, options)
    : await predict(withMask(model), variables, { input, mask }, options);
  return output as Tree<HostTensor>; // on the host
}
