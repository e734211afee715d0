/**
 * The masks of a graph as Keras operations, which Keras records when a layer is called on symbolic tensors,
 * and passes to layers that take a mask. They count among the nodes of a graph, so its order depends on them.
 * They are our masks: where Keras by itself would have another one, the file passes ours to the call by name.
 */
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { isAttention } from "./attention.ts";
import { isRecurrentLayer, type Layer } from "../../src/layers/mod.ts";
import { keepsMaskOrder } from "./mask_order.ts";

/** An input tensor of a layer: its reference, and that of its mask if it has one. */
export interface MaskedInput<Ref> {
  readonly tensor: Ref;
  readonly mask: Ref | undefined;
}

/** Makes the reference to the result of a Keras operation. */
export type MakeOperation<Ref> = (
  className: string,
  args: readonly (Ref | number | readonly Ref[])[],
  config: JsonOptions,
) => Ref;

/** Whether the layer's Keras class takes a mask, which is then passed to it. */
export function takesMask(layer: Layer): boolean {
  return isRecurrentLayer(layer) ||
    [
      "bidirectional",
      "timeDistributed",
      "batchNormalization",
      "globalAveragePooling1d",
      "softmax",
      "sequential",
      "model",
    ].includes(layer.type);
}

/** Whether what the layer does with masked steps is what Keras does. */
export function countsAsKeras({ type, options }: Layer): boolean {
  if (!/^global(Max|Average)Pooling/.test(type)) return true;
  return options.countsMasked === (type !== "globalAveragePooling1d");
}

/** What such a layer does instead, for errors. */
export function countsOtherwise({ type, options }: Layer): string {
  const [does, other] = options.countsMasked
    ? ["counts masked steps, which Keras leaves out", false]
    : ["leaves masked steps out, which Keras counts", true];
  return `${does}; make it with ${type}({ countsMasked: ${other} })`;
}

const passing = [
  "dense",
  "dropout",
  "activation",
  "layerNormalization",
  "batchNormalization",
  "normalization",
  "timeDistributed",
  "relu",
  "leakyRelu",
  "elu",
  "prelu",
  "softmax",
  "unitNormalization",
  "gaussianNoise",
  "spatialDropout1d",
  "spatialDropout2d",
  "spatialDropout3d",
];

/**
 * The mask of each output of a call. Nested models have none recorded: theirs are passed along when they run.
 *
 * @param given The mask passed to the call, instead of the one of its first input.
 */
export function masksOfCall<Ref extends object | string>(
  layer: Layer,
  inputs: readonly MaskedInput<Ref>[],
  given: Ref | undefined,
  make: MakeOperation<Ref>,
): readonly (Ref | undefined)[] {
  const [first] = inputs;
  const { options } = layer;
  const before = given ?? first.mask;
  if (layer.type === "embedding") return options.maskZero ? [make("NotEqual", [first.tensor, 0], {})] : [];
  if (layer.type === "masking") {
    return [anyOfLast(make("NotEqual", [first.tensor, Number(options.maskValue)], {}), make)];
  }
  if (layer.type === "merge") {
    if (options.method === "concatenate" && (options.counts === "any" || options.axis === 1)) {
      return [ofConcatenate(options.axis, inputs, make)];
    }
    return [options.counts === "any" ? ofAny(inputs, make) : ofAll(inputs, make)];
  }
  if (layer.type === "multiHeadAttention") return [before];
  if (isAttention(layer)) {
    return [before && make("ConvertToTensor", [before], { dtype: null, sparse: null, ragged: null })];
  }
  if (passing.includes(layer.type)) return [before];
  const [recurrent] = layer.type === "bidirectional" ? layer.layers ?? [] : [layer];
  if (!isRecurrentLayer(recurrent) || !recurrent.flags.returnSequences) return [];
  // The output steps are in the order in which they were computed, and so is their mask.
  const after = before && recurrent.flags.goBackwards && !keepsMaskOrder(recurrent)
    ? make("Flip", [before], { axis: 1 })
    : before;
  return options.mergeMode === null ? [after, after] : [after];
}

/** The mask of an elementwise operation's output: a step counts if it counts in all its tensors. */
export function ofAll<Ref extends object | string>(
  inputs: readonly Pick<MaskedInput<Ref>, "mask">[],
  make: MakeOperation<Ref>,
): Ref | undefined {
  const [first, ...others] = new Set(inputs.flatMap(({ mask }) => mask ?? []));
  return others.reduce<Ref | undefined>((a, b) => a && make("LogicalAnd", [a, b], {}), first);
}

function anyOfLast<Ref extends object | string>(mask: Ref, make: MakeOperation<Ref>): Ref {
  return make("Any", [mask], { axis: -1, keepdims: false });
}

function ofAny<Ref extends object | string>(
  inputs: readonly MaskedInput<Ref>[],
  make: MakeOperation<Ref>,
): Ref | undefined {
  const masks = inputs.flatMap(({ mask }) => mask ?? []);
  if (masks.length < inputs.length) return undefined;
  return masks.reduce((a, b) => make("LogicalOr", [a, b], {}));
}

function ofConcatenate<Ref extends object | string>(
  axis: Json,
  inputs: readonly MaskedInput<Ref>[],
  make: MakeOperation<Ref>,
): Ref | undefined {
  if (inputs.every(({ mask }) => mask === undefined)) return undefined;
  const wide = inputs.map(({ tensor, mask }) => {
    if (mask === undefined) return make("OnesLike", [tensor], { dtype: "bool" });
    const expanded = make("ExpandDims", [mask], { axis: -1 });
    return make("LogicalOr", [expanded, make("ZerosLike", [tensor], { dtype: "bool" })], {});
  });
  return anyOfLast(make("Concatenate", [wide], { axis }), make);
}
