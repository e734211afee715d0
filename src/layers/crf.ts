/**
 * The layer of a linear-chain conditional random field (Lafferty et al., 2001): it turns a score for each tag at
 * each step into a score for each pair of neighbors. The loss `crf` normalizes these, and `viterbi` finds the best
 * tags.
 */
import { checkOptions } from "../option_names.ts";
import { add, and, cast, equal, select } from "../operations/elementwise.ts";
import { cumsum } from "../operations/cumsum.ts";
import { iota } from "../operations/indexing.ts";
import { splitKey } from "../operations/random.ts";
import { sizeAsTensor } from "../operations/reduction.ts";
import { expandDims } from "../operations/structure.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import { initializerOption } from "../options/saved.ts";
import { printShape } from "../tensor/dims.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { featureSize, floatInput, namedTensors, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode crf}. */
export interface CrfOptions extends LayerOptions {
  /** How all three parameters begin; default `randomUniform`, -0.05 to 0.05. */
  readonly transitionsInitializer?: InitializerLike;
}

/** Parameters of {@linkcode crf}. */
export interface CrfParams {
  /** `[tags]`: added where a sequence begins with a tag. */
  readonly start: Tensor;
  /** `[tags, tags]`: added where the second tag follows the first. */
  readonly transitions: Tensor;
  /** `[tags]`: added where a sequence ends with a tag. */
  readonly end: Tensor;
}

/** Where a row's first and last steps that count are: bool `[1 or batch, time]`. */
function bounds(x: Spec, mask: Tensor | undefined): { readonly first: Tensor; readonly last: Tensor } {
  const time = x.shape[1];
  if (!mask) {
    const steps = iota([1, time]);
    const last = add(sizeAsTensor(time, "int32"), -1);
    return { first: equal(steps, 0), last: equal(steps, last) };
  }
  const counts = cast(mask, "int32");
  const isFirst = (reverse: boolean) => and(mask, equal(cumsum(counts, { axis: 1, reverse }), 1));
  return { first: isFirst(false), last: isFirst(true) };
}

/**
 * A linear-chain conditional random field: learned scores of which tag follows which.
 *
 * Input `[batch, time, tags]`, a score for each tag, as a dense layer without activation gives. Output
 * `[batch, time, tags, tags]`: at each step the score of the second tag after the first one, the sum of the step's
 * own score, the transition, and the scores of beginning and ending where a sequence does. At the first step that
 * counts, every row holds the scores of beginning. The mask is passed on, and its holes are stepped over. Train it
 * with the loss `crf` (or `crfLoss()`), and read tags with `viterbi`.
 *
 * @throws RangeError for an unknown option; TypeError when the input has another number of tags.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { crf, dense, gru, init, key, predict, sequential, spec, viterbi, zeros } from "@cellfold/cellfold";
 * const tagger = sequential([gru({ units: 8, returnSequences: true }), dense({ units: 3 }), crf()]);
 * const variables = init(tagger, key(0), spec([null, null, 4]));
 * const { tags } = viterbi(await predict(tagger, variables, zeros([2, 5, 4])));
 * assertEquals(tags.shape, [2, 5]);
 * ```
 */
export function crf(options: CrfOptions = {}): Layer<Tensor> {
  checkOptions("crf", options, ["transitionsInitializer", ...layerOptionNames]);
  const { name, trainable, transitionsInitializer = "randomUniform" } = options;
  const layer = layerName({ type: "crf", name });
  const initial = resolveInitializer(transitionsInitializer);
  const scoresOf = <T extends Spec>(input: unknown): T => {
    const x = floatInput<T>(layer, input, 3);
    if (x.shape.length === 3) return x;
    throw new TypeError(
      `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: expected [batch, time, tags]`,
    );
  };
  return defineLayer({
    type: "crf",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      transitionsInitializer: initializerOption(layer, "transitionsInitializer", transitionsInitializer),
    },
    named: (name) => crf({ ...options, name }),
    initParams: (key, input) => {
      const tags = featureSize(layer, scoresOf(input).shape[2], 2);
      const [forStart, forTransitions, forEnd] = splitKey(key, 3);
      return {
        start: initial(forStart, [tags]),
        transitions: initial(forTransitions, [tags, tags]),
        end: initial(forEnd, [tags]),
      };
    },
    apply: ({ params, state }, input, context) => {
      const x = scoresOf<Tensor>(input);
      const { start, transitions, end } = namedTensors<CrfParams>(layer, "params", params, [
        "start",
        "transitions",
        "end",
      ]);
      if (x.shape[2] !== start.shape[0]) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: its transitions are of ` +
            `${start.shape[0]} tags`,
        );
      }
      const mask = oneMask(layer, context.mask);
      const { first, last } = bounds(x, mask);
      const atBounds = add(select(expandDims(first, 2), start, 0), select(expandDims(last, 2), end, 0));
      const scores = expandDims(add(x, atBounds), 2);
      const isFirst = expandDims(expandDims(first, 2), 3);
      return { output: add(scores, select(isFirst, 0, transitions)), state, mask };
    },
  });
}
