/**
 * Attention layers with one head: each step of a query is a mean of the steps of a value, weighted by how well the
 * keys there fit. What all attention has in common, the masks and the weights, is in attention_weights.ts.
 */
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { add, mul, tanh } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { ones } from "../operations/creation.ts";
import { expandDims, sum } from "../operations/structure.ts";
import { checkRange } from "../options/checks.ts";
import { resolveInitializer } from "../options/initializers.ts";
import { host, type Tensor } from "../tensor/tensor.ts";
import { type Attended, attended, attentionInputs, attentionWeights } from "./attention_weights.ts";
import { featureSize, namedTensors } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** What attention layers have in common; the names are Keras's. */
export interface AttentionLayerOptions<ReturnScores extends boolean = boolean> extends LayerOptions {
  /** The probability that a weight becomes 0 while training; default 0. */
  readonly dropout?: number;
  /** Whether a step of the query sees only the steps of the value up to its own; default false. */
  readonly useCausalMask?: boolean;
  /** Whether the output is a list of the output and the weights; default false. */
  readonly returnAttentionScores?: ReturnScores;
}

/** Options of {@linkcode attention}, named as in Keras. */
export interface AttentionOptions<ReturnScores extends boolean = boolean>
  extends AttentionLayerOptions<ReturnScores> {
  /** How a query and a key are compared: by their product (`dot`, default), or `Σ tanh(query + key)` (`concat`). */
  readonly scoreMode?: "dot" | "concat";
  /** Whether the comparison is scaled by a trained number; default false. */
  readonly useScale?: boolean;
}

/** Options of {@linkcode additiveAttention}, named as in Keras. */
export interface AdditiveAttentionOptions<ReturnScores extends boolean = boolean>
  extends AttentionLayerOptions<ReturnScores> {
  /** Whether the features of `tanh(query + key)` are weighted by trained numbers; default true. */
  readonly useScale?: boolean;
}

const common = ["dropout", "useCausalMask", "returnAttentionScores", ...layerOptionNames] as const;

/** What distinguishes the two layers. */
interface Comparison {
  readonly type: string;
  readonly options: AttentionLayerOptions;
  /** The options that the other does not have, as they are saved. */
  readonly saved: { readonly [key: string]: string | boolean };
  /** The names of the params. */
  readonly names: readonly string[];
  initParams(layer: string, key: Tensor, query: Tensor["shape"]): Readonly<Record<string, Tensor>>;
  /** `[batch, query steps, value steps]`. */
  scores(params: Readonly<Record<string, Tensor>>, query: Tensor, key: Tensor): Tensor;
  make(options: AttentionLayerOptions): Layer<Attended>;
}

function attentionLayer(comparison: Comparison): Layer<Attended> {
  const { type, options, saved, names, scores } = comparison;
  const { dropout = 0, useCausalMask = false, returnAttentionScores = false, name, trainable } = options;
  const layer = layerName({ type, name });
  checkRange(layer, "dropout", dropout, { low: 0, below: 1 });
  return defineLayer<Attended>({
    type,
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { ...saved, dropout, useCausalMask, returnAttentionScores },
    named: (name) => comparison.make({ ...options, name }),
    initParams: (key, input) => comparison.initParams(layer, key, attentionInputs(layer, input).query.shape),
    apply: ({ params, state }, input, context) => {
      const inputs = attentionInputs<Tensor>(layer, input, context.mask);
      const { query, value, key, queryMask, valueMask } = inputs;
      const tensors = namedTensors<Record<string, Tensor>>(layer, "params", params, names);
      const weights = attentionWeights(layer, scores(tensors, query, key), {
        dropout,
        useCausalMask,
        mask: valueMask && expandDims(valueMask, 1),
        context,
      });
      return attended(matmul(weights.dropped, value), weights.weights, {
        queryMask,
        state,
        returnAttentionScores,
        hidesQuery: true,
      });
    },
  });
}

/** `[batch, query steps, value steps, features]`: the sum of each query and each key. */
function eachPair(query: Tensor, key: Tensor): Tensor {
  return add(expandDims(query, 2), expandDims(key, 1));
}

/**
 * Attention by the product of query and key (Luong et al., 2015): `softmax(query · keyᵀ) · value`.
 *
 * Input: a list `[query, value]` or `[query, value, key]` of `[batch, query steps, features]`,
 * `[batch, value steps, values]` and `[batch, value steps, features]`; the key is the value if it is not given.
 * Output `[batch, query steps, values]`; with `returnAttentionScores` a list of it and the weights
 * `[batch, query steps, value steps]`. A masked step of the value has no weight; the output is 0 at the masked
 * steps of the query, whose mask is passed on. Params: `scale` `[]` with `useScale`, `concatScoreWeight` `[]` with
 * the score mode `concat`.
 *
 * @throws RangeError for an unknown option or score mode; TypeError when the inputs do not fit, naming their shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { attention, zeros } from "@cellfold/cellfold";
 * const inputs = [zeros([1, 3, 4]), zeros([1, 5, 4])];
 * const { output } = attention().apply({ params: {}, state: [] }, inputs, { training: false });
 * assertEquals(output.shape, [1, 3, 4]);
 * ```
 */
export function attention<const ReturnScores extends boolean = false>(
  options: AttentionOptions<ReturnScores> = {},
): Layer<Attended<ReturnScores>> {
  checkOptions("attention", options, ["scoreMode", "useScale", ...common]);
  const { scoreMode = "dot", useScale = false } = options;
  if (scoreMode !== "dot" && scoreMode !== "concat") {
    throw unknownName("scoreMode", scoreMode, ["dot", "concat"]);
  }
  const names = [...(useScale ? ["scale"] : []), ...(scoreMode === "concat" ? ["concatScoreWeight"] : [])];
  const scaled = (x: Tensor, { scale }: Readonly<Record<string, Tensor>>) => useScale ? mul(x, scale) : x;
  const made = attentionLayer({
    type: "attention",
    options,
    saved: { scoreMode, useScale },
    names,
    initParams: () => Object.fromEntries(names.map((name) => [name, host(ones([]))])),
    scores: (params, query, key) =>
      scoreMode === "dot"
        ? scaled(matmul(query, key, { transposeRight: true }), params)
        : mul(sum(tanh(scaled(eachPair(query, key), params)), { axes: -1 }), params.concatScoreWeight),
    make: (options) => attention(options as AttentionOptions),
  });
  return made as Layer<Attended<ReturnScores>>; // as returnAttentionScores says
}

/**
 * Attention by a sum of query and key (Bahdanau et al., 2015): `softmax(Σ scale · tanh(query + key)) · value`.
 *
 * Input, output and masks are those of {@linkcode attention}. Params: `scale` `[features]`, unless `useScale` is
 * false.
 *
 * @throws RangeError for an unknown option; TypeError when the inputs do not fit, naming their shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { additiveAttention, init, key, zeros } from "@cellfold/cellfold";
 * const layer = additiveAttention({ returnAttentionScores: true });
 * const inputs = [zeros([1, 3, 4]), zeros([1, 5, 4])];
 * const { output: [output, scores] } = layer.apply(init(layer, key(0), inputs), inputs, { training: false });
 * assertEquals([output.shape, scores.shape], [[1, 3, 4], [1, 3, 5]]);
 * ```
 */
export function additiveAttention<const ReturnScores extends boolean = false>(
  options: AdditiveAttentionOptions<ReturnScores> = {},
): Layer<Attended<ReturnScores>> {
  checkOptions("additiveAttention", options, ["useScale", ...common]);
  const { useScale = true } = options;
  const made = attentionLayer({
    type: "additiveAttention",
    options,
    saved: { useScale },
    names: useScale ? ["scale"] : [],
    initParams: (layer, key, query): Readonly<Record<string, Tensor>> =>
      useScale ? { scale: resolveInitializer("glorotUniform")(key, [featureSize(layer, query[2], 2)]) } : {},
    scores: ({ scale }, query, key) => {
      const pairs = tanh(eachPair(query, key));
      return sum(useScale ? mul(pairs, scale) : pairs, { axes: -1 });
    },
    make: (options) => additiveAttention(options),
  });
  return made as Layer<Attended<ReturnScores>>; // as returnAttentionScores says
}
