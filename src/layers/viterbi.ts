/**
 * The best tags of a linear chain (Viterbi, 1967): a fold forward over the best score of each last tag, and one
 * backward along what it chose.
 */
import { checkOptions } from "../option_names.ts";
import { add, equal, select, stopGradient } from "../operations/elementwise.ts";
import { broadcastTo, expandDims, sum } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import { iota } from "../operations/indexing.ts";
import { isFloat } from "../operations/infer.ts";
import { argmax, max } from "../operations/reduction.ts";
import { scan } from "../scan.ts";
import { maskOf } from "../scan/masking.ts";
import { checkSpec, checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";

/** Options of {@linkcode viterbi}. */
export interface ViterbiOptions {
  /** bool `[batch, time]`: which steps count. */
  readonly mask?: Tensor;
  /** int32 `[batch]`: how many steps of each row count, from the first on. */
  readonly lengths?: Tensor;
}

/** The best tags. */
export type BestTags = {
  /** int32 `[batch, time]`; -1 at steps that do not count. */
  readonly tags: Tensor;
  /** `[batch]`: the sum of their scores. */
  readonly scores: Tensor;
};

/** Throws a TypeError unless these are the scores of a linear chain, as the layer `crf` gives. */
export function checkChain(what: string, potentials: Spec): void {
  checkSpec(`compute ${what}`, potentials, "the scores");
  const { shape } = potentials;
  if (isFloat(potentials) && shape.length === 4 && shape[2] === shape[3]) return;
  throw new TypeError(
    `Cannot compute ${what}: the scores are ${
      printSpec(potentials)
    }, expected floats [batch, time, tags, tags], as ` +
      `the layer crf gives`,
  );
}

/**
 * The scores before the first step, `[batch, tags]`: a chain begins as if at tag 0, since at its first step all rows
 * of the scores are the same.
 */
export function beforeChain({ shape: [batch, , tags], dtype }: Spec): Tensor {
  return select(equal(iota([1, tags]), 0), zeros([batch, 1], { dtype }), -Infinity);
}

/** The elements of each row at an index: `[batch]` from `[batch, size]` and int32 `[batch]`. */
export function elementAt(x: Tensor, index: Tensor): Tensor {
  return sum(select(equal(iota([1, x.shape[1]]), expandDims(index, 1)), x, 0), { axes: 1 });
}

/**
 * The tags with the highest sum of scores, of equal ones the first. No derivative flows through the scores.
 *
 * @param potentials float `[batch, time, tags, tags]`, as the layer `crf` gives: at each step the score of the second
 *   tag after the first one.
 * @throws TypeError for another shape; RangeError for an unknown option or lengths beyond the steps.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested, viterbi } from "@cellfold/cellfold";
 * // Begins with tag 1 (score 2 over 0); then changing the tag scores 3.
 * const { tags, scores } = viterbi(tensor([[[[0, 2], [0, 2]], [[0, 3], [3, 0]]]]));
 * assertEquals([toNested(tags), toNested(scores)], [[[1, 0]], [5]]);
 * ```
 */
export function viterbi(potentials: Tensor, options: ViterbiOptions = {}): BestTags {
  checkTensor("viterbi", potentials, "the scores");
  checkOptions("viterbi", options, ["mask", "lengths"]);
  checkChain("viterbi", potentials);
  const [batch, time, tags] = potentials.shape;
  const scores = stopGradient(potentials);
  const counted = maskOf(options, scores, time) ?? equal(zeros([batch, time]), 0);
  type Step = { readonly score: Tensor; readonly counts: Tensor };
  const [from, last] = scan(
    (best: Tensor, { score, counts }: Step) => {
      const reached = add(expandDims(best, 2), score); // [batch, from, to]
      const isStep = expandDims(counts, 1);
      const stay = broadcastTo(iota([tags]), [batch, tags]);
      return [
        select(isStep, argmax(reached, { axis: 1 }), stay),
        select(isStep, max(reached, { axes: 1 }), best),
      ];
    },
    beforeChain(scores),
    { score: scores, counts: counted },
  );
  const [chosen] = scan(
    (tag: Tensor, { from, counts }: { readonly from: Tensor; readonly counts: Tensor }) => [
      select(counts, tag, -1),
      elementAt(from, tag),
    ],
    argmax(last),
    { from, counts: counted },
    { reverse: true },
  );
  return { tags: chosen, scores: max(last, { axes: 1 }) };
}
