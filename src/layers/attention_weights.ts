/** What attention layers have in common: their inputs with masks, the weights, and what they put out. */
import { and, cast, greaterEqual, mul, not, select } from "../operations/elementwise.ts";
import { iota } from "../operations/indexing.ts";
import { isFloat } from "../operations/infer.ts";
import { dropoutMask } from "../operations/random.ts";
import { sameShape } from "../tensor/dims.ts";
import { isLeaf, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { type Tree, treeLeaves } from "../tree/tree.ts";
import type { Applied, ApplyContext, Mask } from "./layer.ts";
import { masksOfLeaves } from "./masks.ts";
import { widenedMask } from "./sequence.ts";
import { maskedSoftmax } from "./softmax.ts";

/** What an attention layer puts out. */
export type Attended<ReturnScores extends boolean = boolean> = ReturnScores extends true
  ? readonly [output: Tensor, scores: Tensor]
  : Tensor;

/** The inputs by their roles. */
export interface AttentionInputs<T extends Spec> {
  readonly query: T;
  readonly value: T;
  readonly key: T;
  readonly queryMask: Tensor | undefined;
  readonly valueMask: Tensor | undefined;
  /** Only if a key is given. */
  readonly keyMask: Tensor | undefined;
}

/**
 * The inputs `[query, value]` or `[query, value, key]`.
 *
 * @throws TypeError for others, naming them.
 */
export function attentionInputs<T extends Spec>(
  layer: string,
  input: unknown,
  mask?: Mask,
): AttentionInputs<T> {
  const tensors = treeLeaves<T>(input);
  const [query, value, key = value] = tensors;
  const isList = Array.isArray(input) && input.every(isLeaf) && (input.length === 2 || input.length === 3);
  const fits = isList && tensors.every((x) => isFloat(x) && x.shape.length === 3) &&
    tensors.every(({ shape }) => shape[0] === query.shape[0]) &&
    sameShape(value.shape.slice(0, 2), key.shape.slice(0, 2));
  if (!fits) {
    throw new TypeError(
      `Cannot use ${layer} with [${
        tensors.map(printSpec).join(", ")
      }]: expected a list of a query, a value and ` +
        `perhaps a key, floats [batch, steps, features] of one batch, the last two of the same number of steps`,
    );
  }
  const [queryMask, valueMask, keyMask] = masksOfLeaves(input, mask);
  return { query, value, key, queryMask, valueMask, keyMask };
}

/** What the weights depend on besides the scores. */
interface WeightOptions {
  readonly dropout: number;
  readonly useCausalMask: boolean;
  /** Which scores count, bool, such that it broadcasts to their shape; undefined if all do. */
  readonly mask: Tensor | undefined;
  readonly context: ApplyContext;
}

/**
 * The weights of scores `[..., query steps, value steps]`, which add up to 1 along the last axis, and these after
 * dropout.
 */
export function attentionWeights(
  layer: string,
  scores: Tensor,
  { dropout, useCausalMask, mask, context }: WeightOptions,
): { readonly weights: Tensor; readonly dropped: Tensor } {
  const steps = scores.shape.slice(-2);
  const before = useCausalMask ? greaterEqual(iota(steps, { axis: 0 }), iota(steps, { axis: 1 })) : undefined;
  const seen = before && mask ? and(mask, before) : before ?? mask;
  const weights = maskedSoftmax(scores, seen, [-1]); // 0 where nothing is seen at all
  if (dropout === 0 || !context.training) return { weights, dropped: weights };
  const { key } = context;
  if (key === undefined) {
    throw new TypeError(
      `Cannot train ${layer} without a random key: give one in the context, { key: key(0) }`,
    );
  }
  const kept = cast(dropoutMask(key, weights.shape, { rate: dropout }), weights.dtype);
  return { weights, dropped: mul(weights, kept) };
}

/** The result of a call. */
export function attended(
  output: Tensor,
  scores: Tensor,
  { queryMask, state, returnAttentionScores, hidesQuery }: {
    readonly queryMask: Tensor | undefined;
    readonly state: Tree<Tensor>;
    readonly returnAttentionScores: boolean;
    /** Whether masked steps of the query become 0. */
    readonly hidesQuery: boolean;
  },
): Applied<Attended> {
  const shown = queryMask && hidesQuery ? select(not(widenedMask(queryMask, output)), 0, output) : output;
  if (!returnAttentionScores) return { output: shown, state, mask: queryMask };
  return { output: [shown, scores], state, mask: queryMask && [queryMask, undefined] };
}
