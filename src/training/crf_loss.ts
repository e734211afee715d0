/**
 * The loss of a linear-chain conditional random field: minus the log-likelihood of the tags, from the scores that the
 * layer `crf` gives.
 */
import { checkOptions } from "../option_names.ts";
import { add, mul, select, sub } from "../operations/elementwise.ts";
import { zeros } from "../operations/creation.ts";
import { logSumExp } from "../operations/reduction.ts";
import { expandDims, reshape } from "../operations/structure.ts";
import { made } from "../options/made.ts";
import { beforeChain, checkChain, elementAt } from "../layers/viterbi.ts";
import { scan } from "../scan.ts";
import { fixedDim, sameShape } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { checkReduction, type Loss, lossMaking, type LossOptions } from "./loss.ts";

/** Throws a TypeError unless targets are a tag for each step of the scores. */
export function checkTags(what: string, target: Tensor, potentials: Spec): void {
  checkChain(what, potentials);
  checkTensor(what, target, "the target");
  if (target.dtype === "int32" && sameShape(target.shape, potentials.shape.slice(0, 2))) return;
  throw new TypeError(
    `Cannot compute ${what}: the tags are ${printSpec(target)}, the prediction ${
      printSpec(potentials)
    }, expected ` +
      `int32[${potentials.shape.slice(0, 2).join(", ")}]`,
  );
}

/**
 * Minus the logarithm of the probability of the tags among all sequences of tags, one value for each sequence, not
 * divided by its length.
 *
 * Predictions are the scores `[batch, time, tags, tags]` of the layer `crf`, targets int32 `[batch, time]`. Steps that
 * the mask leaves out do not count, and may have any tag. If no step of a sequence counts, it does not count.
 *
 * @throws RangeError for an unknown option or reduction; TypeError for shapes that do not fit.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { computeLoss, crfLoss, item, tensor, zeros } from "@cellfold/cellfold";
 * const tags = tensor([[1, 0, 2]], { dtype: "int32" });
 * // All 27 sequences of three tags are equally probable.
 * assertAlmostEquals(item(computeLoss(crfLoss(), tags, zeros([1, 3, 3, 3]))), Math.log(27), 1e-5);
 * ```
 */
export function crfLoss(options: LossOptions = {}): Loss {
  const type = "crf";
  checkOptions("crfLoss", options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  checkReduction("crfLoss", reduction);
  return made<Loss>({
    type,
    options: { reduction },
    reduction,
    labels: "sparse",
    ofSequences: true,
    values(target, prediction, mask) {
      checkTags(type, target, prediction);
      const [batch, , tags] = prediction.shape;
      const count = fixedDim(tags, "The axis of the tags");
      type Step = { readonly score: Tensor; readonly tag: Tensor };
      const [, { all, chosen }] = scan(
        ({ all, chosen, before }, { score, tag }: Step) => {
          const next = {
            all: logSumExp(add(expandDims(all, 2), score), { axis: 1 }),
            chosen: add(
              chosen,
              elementAt(reshape(score, [batch, count * count]), add(mul(before, count), tag)),
            ),
            before: tag,
          };
          return [[], next];
        },
        {
          all: beforeChain(prediction),
          chosen: zeros([batch], { dtype: prediction.dtype }),
          before: zeros([batch], { dtype: "int32" }),
        },
        { score: prediction, tag: mask ? select(mask, target, 0) : target },
        { mask },
      );
      return sub(logSumExp(all), chosen);
    },
  }, { ...lossMaking, factory: "crfLoss" });
}
