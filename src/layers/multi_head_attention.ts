/** Attention with several heads (Vaswani et al., "Attention is all you need", 2017). */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { add, and, mul } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { splitKey } from "../operations/random.ts";
import { expandDims, reshape, transpose } from "../operations/structure.ts";
import { checkRange } from "../options/checks.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import { type PerAxis, perAxis } from "../options/per_axis.ts";
import { type RegularizerLike, regularizerOption, resolveRegularizer } from "../options/regularizers.ts";
import { initializerOption } from "../options/saved.ts";
import { sumOf, weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";
import { multiplyDims, printShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isObject } from "../describe.ts";
import type { AttentionLayerOptions } from "./attention.ts";
import { type Attended, attended, attentionInputs, attentionWeights } from "./attention_weights.ts";
import { featureSize, namedTensors } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames } from "./define.ts";
import type { Layer } from "./layer.ts";
import { outputPenalty } from "./penalties.ts";
import { commonMask } from "./sequence.ts";

/** Options of {@linkcode multiHeadAttention}, named as in Keras. */
export interface MultiHeadAttentionOptions<ReturnScores extends boolean = boolean>
  extends AttentionLayerOptions<ReturnScores>, WeightOptions<"kernel" | "bias"> {
  /** How many heads there are. */
  readonly numHeads: number;
  /** The number of features of a head's queries and keys. */
  readonly keyDim: number;
  /** The number of features of a head's values; default `keyDim`. */
  readonly valueDim?: number;
  /** The number of features of the output, which may be in a list as in Keras; default that of the query. */
  readonly outputShape?: PerAxis;
  /** Default true; without a bias, its other options have no effect, as in Keras. */
  readonly useBias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: InitializerLike;
  /** Default `zeros`. */
  readonly biasInitializer?: InitializerLike;
  /** As in Keras it acts on what the four products give, that of the output among them; default null: none. */
  readonly activityRegularizer?: RegularizerLike | null;
}

/** One of the products of {@linkcode multiHeadAttention}. */
export interface HeadsParams {
  /** `[features, heads, size]`; for the output, `[heads, valueDim, features]`. */
  readonly kernel: Tensor;
  /** `[heads, size]`; for the output, `[features]`. Absent without bias. */
  readonly bias?: Tensor;
}

/** Parameters of {@linkcode multiHeadAttention}. */
export interface MultiHeadAttentionParams {
  /** Of the queries, `[features, heads, keyDim]`. */
  readonly query: HeadsParams;
  /** Of the keys, `[features, heads, keyDim]`. */
  readonly key: HeadsParams;
  /** Of the values, `[features, heads, valueDim]`. */
  readonly value: HeadsParams;
  /** Of all heads together, `[heads, valueDim, features]`. */
  readonly output: HeadsParams;
}

/** `[batch, steps, features]` as `[batch, steps, heads, size]`. */
function projected(x: Tensor, { kernel, bias }: HeadsParams): Tensor {
  const [features, heads, size] = kernel.shape;
  const product = matmul(x, reshape(kernel, [features, multiplyDims(heads, size)]));
  const whole = bias ? add(product, reshape(bias, [-1])) : product;
  return reshape(whole, [x.shape[0], x.shape[1], heads, size]);
}

/** `[batch, steps, heads, size]` as `[batch, heads, steps, size]`. */
function byHead(x: Tensor): Tensor {
  return transpose(x, { permutation: [0, 2, 1, 3] });
}

/** The heads of each step together, `[batch, steps, heads · size]`, times the output's kernel. */
function fromHeads(x: Tensor, { kernel, bias }: HeadsParams): Tensor {
  const [batch, heads, steps, size] = x.shape;
  const together = reshape(transpose(x, { permutation: [0, 2, 1, 3] }), [
    batch,
    steps,
    multiplyDims(heads, size),
  ]);
  const product = matmul(together, reshape(kernel, [multiplyDims(heads, size), kernel.shape[2]]));
  return bias ? add(product, bias) : product;
}

const parts = ["query", "key", "value", "output"] as const;

/**
 * Attention with several heads: query, key and value are projected for each head, whose output
 * `softmax(query · keyᵀ / √keyDim) · value` is projected back, all heads together.
 *
 * Input: a list `[query, value]` or `[query, value, key]` of `[batch, query steps, features]` and twice
 * `[batch, value steps, features]`; the key is the value if it is not given. Output
 * `[batch, query steps, outputShape]`; with `returnAttentionScores` a list of it and the weights
 * `[batch, heads, query steps, value steps]`. A masked step of the value or the key has no weight; the mask of the
 * query is passed on, and what is at its masked steps has no meaning. Params:
 * {@linkcode MultiHeadAttentionParams}.
 *
 * @throws RangeError for an unknown option, or a value out of range; TypeError when the inputs do not fit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, multiHeadAttention, zeros } from "@cellfold/cellfold";
 * const layer = multiHeadAttention({ numHeads: 2, keyDim: 3, useCausalMask: true });
 * const inputs = [zeros([1, 5, 4]), zeros([1, 5, 4])];
 * const { output } = layer.apply(init(layer, key(0), inputs), inputs, { training: false });
 * assertEquals(output.shape, [1, 5, 4]);
 * ```
 */
export function multiHeadAttention<const ReturnScores extends boolean = false>(
  options: MultiHeadAttentionOptions<ReturnScores>,
): Layer<Attended<ReturnScores>> {
  checkOptions("multiHeadAttention", options, [
    "numHeads",
    "keyDim",
    "valueDim",
    "outputShape",
    "dropout",
    "useBias",
    "useCausalMask",
    "returnAttentionScores",
    "kernelInitializer",
    "biasInitializer",
    ...weightOptionNames("kernel", "bias"),
    ...layerOptionNames,
  ]);
  const { numHeads, keyDim, valueDim = keyDim, useBias = true, name, trainable } = options;
  const { kernelInitializer = "glorotUniform", biasInitializer = "zeros", dropout = 0 } = options;
  const { useCausalMask = false, returnAttentionScores = false } = options;
  const layer = layerName({ type: "multiHeadAttention", name });
  const what = `make ${layer}`;
  for (const [option, size] of Object.entries({ numHeads, keyDim, valueDim })) checkCount(what, size, option);
  const outputShape = options.outputShape === undefined
    ? undefined
    : perAxis(layer, "outputShape", options.outputShape, 1);
  checkRange(layer, "dropout", dropout, { low: 0, below: 1 });
  const initialKernel = resolveInitializer(kernelInitializer);
  const initialBias = resolveInitializer(biasInitializer);
  const rules = weightRules(layer, options, {
    kernel: parts.map((part) => `${part}.kernel`),
    bias: parts.map((part) => `${part}.bias`),
  });
  const { activityRegularizer = null } = options;
  const activity = activityRegularizer === null
    ? undefined
    : resolveRegularizer(layer, "activityRegularizer", activityRegularizer);
  const made = defineLayer<Attended>({
    type: "multiHeadAttention",
    name,
    trainable,
    options: {
      numHeads,
      keyDim,
      valueDim,
      ...(outputShape === undefined ? {} : { outputShape }),
      dropout,
      useBias,
      useCausalMask,
      returnAttentionScores,
      kernelInitializer: initializerOption(layer, "kernelInitializer", kernelInitializer),
      biasInitializer: initializerOption(layer, "biasInitializer", biasInitializer),
      ...rules.saved,
      ...(activityRegularizer === null ? {} : {
        activityRegularizer: regularizerOption(layer, "activityRegularizer", activityRegularizer),
      }),
    },
    ...rules.functions,
    named: (name) => multiHeadAttention({ ...options as MultiHeadAttentionOptions, name }),
    initParams: (key, input) => {
      const inputs = attentionInputs(layer, input);
      const size = ({ shape }: { readonly shape: Tensor["shape"] }) => featureSize(layer, shape[2], 2);
      const kernels = {
        query: [size(inputs.query), numHeads, keyDim],
        key: [size(inputs.key), numHeads, keyDim],
        value: [size(inputs.value), numHeads, valueDim],
        output: [numHeads, valueDim, outputShape?.[0] ?? size(inputs.query)],
      };
      const keys = splitKey(key, 2 * parts.length);
      const made = parts.map((part, index) => {
        const bias = part === "output" ? kernels[part].slice(2) : kernels[part].slice(1);
        return [part, {
          kernel: initialKernel(keys[2 * index], kernels[part]),
          ...(useBias ? { bias: initialBias(keys[2 * index + 1], bias) } : {}),
        }];
      });
      return Object.fromEntries(made);
    },
    apply: ({ params, state }, input, context) => {
      const inputs = attentionInputs<Tensor>(layer, input, context.mask);
      const { queryMask, valueMask, keyMask } = inputs;
      const tensors = checkedParams(layer, params, useBias);
      for (const part of ["query", "key", "value"] as const) {
        const [x, { kernel }] = [inputs[part], tensors[part]];
        if (x.shape[2] === kernel.shape[0]) continue;
        throw new TypeError(
          `Cannot use ${layer} with a ${part} of shape ${printShape(x.shape)}: its kernel has shape ${
            printShape(kernel.shape)
          }`,
        );
      }
      const query = projected(inputs.query, tensors.query);
      const shortened = mul(byHead(query), 1 / Math.sqrt(keyDim));
      const key = projected(inputs.key, tensors.key);
      const scores = matmul(shortened, byHead(key), { transposeRight: true });
      const masks = [
        queryMask && expandDims(queryMask, 2),
        valueMask && expandDims(valueMask, 1),
        keyMask && expandDims(keyMask, 1),
      ]
        .filter((mask) => mask !== undefined);
      const mask = masks.length === 0 ? undefined : expandDims(masks.reduce((a, b) => and(a, b)), 1);
      const weights = attentionWeights(layer, scores, { dropout, useCausalMask, mask, context });
      const value = projected(inputs.value, tensors.value);
      const output = fromHeads(matmul(weights.dropped, byHead(value)), tensors.output);
      const applied = attended(output, weights.weights, {
        queryMask,
        state,
        returnAttentionScores,
        hidesQuery: false,
      });
      if (!activity) return applied;
      const seen = commonMask([valueMask, keyMask]); // a step is a key with its value
      const penalties = [
        outputPenalty(layer, activity, query, queryMask),
        outputPenalty(layer, activity, key, seen),
        outputPenalty(layer, activity, value, seen),
        outputPenalty(layer, activity, output, queryMask),
      ];
      return { ...applied, penalty: sumOf(penalties) };
    },
  });
  return made as Layer<Attended<ReturnScores>>; // as returnAttentionScores says
}

function checkedParams(layer: string, params: unknown, useBias: boolean): MultiHeadAttentionParams {
  const names = useBias ? ["kernel", "bias"] : ["kernel"];
  const given = isObject(params) ? params as Readonly<Record<string, unknown>> : {};
  const checked = parts.map((part) => [part, namedTensors<HeadsParams>(layer, "params", given[part], names)]);
  return Object.fromEntries(checked);
}
