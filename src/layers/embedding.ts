/** The layer that maps tokens to vectors. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { notEqual } from "../operations/elementwise.ts";
import { gather } from "../operations/indexing.ts";
import { type HostTensor, isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { namedTensors, oneInput, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { Layer } from "./layer.ts";
import { commonMask } from "./sequence.ts";
import { initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";

/** Options of {@linkcode embedding}, named as in Keras. */
export interface EmbeddingOptions extends LayerOptions, WeightOptions<"embeddings"> {
  /** The size of the vocabulary: tokens are 0 to `inputDim - 1`. */
  readonly inputDim: number;
  /** The size of a token's vector. */
  readonly outputDim: number;
  /** Whether token 0 is padding: it makes a mask, `tokens ≠ 0`. Default false. */
  readonly maskZero?: boolean;
  /** Default `randomUniform`, -0.05 to 0.05. */
  readonly embeddingsInitializer?: InitializerLike;
}

/** Parameters of {@linkcode embedding}. */
export interface EmbeddingParams {
  /** `[inputDim, outputDim]`. */
  readonly embeddings: Tensor;
}

/** Where element `offset` of a row-major tensor lies: `[2, 3]`. */
function position(offset: number, shape: readonly number[]): string {
  const indices: number[] = [];
  let rest = offset;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    indices.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return `[${indices.join(", ")}]`;
}

/**
 * A trainable vector for each token.
 *
 * Input int32 `[batch, ...]`, output float32 `[batch, ..., outputDim]`. With `maskZero` the mask is
 * `tokens ≠ 0` (token 0 is still looked up), combined with the incoming mask if there is one. Params:
 * {@linkcode EmbeddingParams}. `checkInput` refuses a token outside the vocabulary before anything runs;
 * inside a compiled function, where values are not known, the nearest row is used.
 *
 * @throws RangeError for an unknown option or an invalid size.
 * @throws TypeError when it is used with floats.
 *
 * @example
 * ```ts
 * import { embedding, tensor } from "@cellfold/cellfold";
 * const layer = embedding({ inputDim: 1000, outputDim: 64, maskZero: true });
 * layer.checkInput?.(tensor([[3, 999, 0]], { dtype: "int32" })); // 1000 would be a RangeError
 * ```
 */
export function embedding(options: EmbeddingOptions): Layer<Tensor> {
  checkOptions("embedding", options, [
    "inputDim",
    "outputDim",
    "maskZero",
    "embeddingsInitializer",
    ...weightOptionNames("embeddings"),
    ...layerOptionNames,
  ]);
  const { inputDim, outputDim, maskZero = false, embeddingsInitializer = "randomUniform" } = options;
  const { name, trainable } = options;
  const layer = layerName({ type: "embedding", name });
  checkCount(`make ${layer}`, inputDim, "inputDim");
  checkCount(`make ${layer}`, outputDim, "outputDim");
  const initialEmbeddings = resolveInitializer(embeddingsInitializer);
  const rules = weightRules(layer, options, { embeddings: ["embeddings"] });
  const tokensOf = <T extends Spec>(input: unknown): T => {
    const tokens = oneInput<T>(layer, input);
    if (tokens.dtype === "int32") return tokens;
    throw new TypeError(
      `Cannot use ${layer} with ${printSpec(tokens)}: tokens are int32; ` +
        `make them with tensor(values, { dtype: "int32" }), or use cast(x, "int32")`,
    );
  };
  const checkTokens = ({ data, shape }: HostTensor): void => {
    let wrong = 0; // a loop, as a function would be made in every step of a stream
    while (wrong < data.length && data[wrong] >= 0 && data[wrong] < inputDim) wrong++;
    if (wrong === data.length) return;
    throw new RangeError(
      `Cannot use ${layer} with the token ${data[wrong]} at ${position(wrong, shape)}: ` +
        `its vocabulary has ${inputDim} tokens, 0 to ${inputDim - 1}`,
    );
  };
  return defineLayer({
    type: "embedding",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      inputDim,
      outputDim,
      maskZero,
      embeddingsInitializer: initializerOption(layer, "embeddingsInitializer", embeddingsInitializer),
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => embedding({ ...options, name }),
    initParams: (key, input) => {
      tokensOf(input);
      return { embeddings: initialEmbeddings(key, [inputDim, outputDim]) };
    },
    apply: ({ params, state }, input, { mask }) => {
      const tokens = tokensOf<Tensor>(input);
      if (isTensor(tokens) && tokens.kind === "host") checkTokens(tokens);
      const { embeddings } = namedTensors<EmbeddingParams>(layer, "params", params, ["embeddings"]);
      return {
        output: gather(embeddings, tokens),
        state,
        mask: commonMask([oneMask(layer, mask), maskZero ? notEqual(tokens, 0) : undefined]),
      };
    },
    checkInput: (input) => checkTokens(tokensOf<HostTensor>(input)),
  });
}
