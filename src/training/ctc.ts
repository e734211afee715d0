/**
 * Connectionist temporal classification (Graves et al., 2006): the loss of a sequence of labels that is shorter
 * than the sequence of predictions and not aligned with it. The sum over all alignments is a fold over time, in
 * logarithms. How labels are read from predictions is in ctc_decoding.ts.
 */
import { checkList, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { full, zeros } from "../operations/creation.ts";
import {
  add,
  cast,
  clip,
  equal,
  exp,
  less,
  log,
  maximum,
  mul,
  neg,
  notEqual,
  or,
  select,
  stopGradient,
  sub,
} from "../operations/elementwise.ts";
import { cumsum } from "../operations/cumsum.ts";
import { gather, iota } from "../operations/indexing.ts";
import { logitsOf } from "../operations/logits.ts";
import { LARGEST, logSoftmax, logSumExp } from "../operations/reduction.ts";
import { concat, expandDims, reshape, sliceAxis, sum, transpose } from "../operations/structure.ts";
import { made } from "../options/made.ts";
import { scan } from "../scan.ts";
import { addDims, type Dim, fixedDim, multiplyDims, subtractDims } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { requirePrediction } from "./alignment.ts";
import { checkReduction, clipped, type Loss, lossMaking, type LossOptions } from "./loss.ts";

/** Options of {@linkcode ctc}. */
export interface CtcOptions extends LossOptions {
  /** The class that stands for no label; negative ones count from the last class, -1. Default 0. */
  readonly blank?: number;
  /**
   * Whether predictions are logits, or logarithms of probabilities, instead of probabilities; default true, as
   * in Keras and PyTorch. Logits behind a softmax are found in any case.
   */
  readonly fromLogits?: boolean;
  /**
   * Whether a sequence that is too short for its labels has a loss of 0; by default it is infinite, and `fit`
   * and `evaluate` refuse such samples before they begin. Its gradient is 0 in both cases.
   */
  readonly zeroInfinity?: boolean;
}

/** The class of a blank among so many classes. */
export function blankClass(what: string, blank: number, classes: number): number {
  const index = blank < 0 ? blank + classes : blank;
  if (index >= 0 && index < classes) return index;
  throw new RangeError(`Cannot compute ${what}: blank is ${blank}, expected one of ${classes} classes`);
}

/** Throws a TypeError unless a blank is a whole number. */
export function checkBlank(what: string, blank: unknown): void {
  if (!Number.isInteger(blank)) throw wrongKind(what, blank, "blank", "a whole number");
}

/** The logarithm of the sum of the exponentials of tensors of one shape; -∞ with a derivative of 0 for -∞ alone. */
function logAddExp(...terms: readonly Tensor[]): Tensor {
  // Kept finite, so that infinities stay infinities instead of becoming NaN.
  const largest = clip(stopGradient(terms.reduce((a, b) => maximum(a, b))), { min: -LARGEST, max: LARGEST });
  const total = terms.map((term) => exp(sub(term, largest))).reduce((a, b) => add(a, b));
  const isNothing = equal(total, 0);
  return add(select(isNothing, -Infinity, log(select(isNothing, 1, total))), largest);
}

/** The labels of a batch, ready for the fold. */
interface LabelSequences {
  /** int32 `[batch, labels]`, the blank behind the end. */
  readonly labels: Tensor;
  /** int32 `[batch]`. */
  readonly lengths: Tensor;
}

function labelSequences(target: Tensor, prediction: Tensor, blank: number): LabelSequences {
  checkTensor("ctc", target, "the target");
  const [batch] = prediction.shape;
  if (target.dtype !== "int32" || target.shape.length !== 2 || target.shape[0] !== batch) {
    throw new TypeError(
      `Cannot compute ctc: the labels are ${printSpec(target)}, the prediction ${printSpec(prediction)}, ` +
        `expected int32[${batch}, labels]`,
    );
  }
  // One column at least, as there is always a state of no label.
  const given = target.shape[1] === 0 ? full([batch, 1], -1, { dtype: "int32" }) : target;
  const isEnd = or(less(given, 0), equal(given, blank));
  const counts = equal(cumsum(cast(isEnd, "int32"), { axis: 1 }), 0);
  return { labels: select(counts, given, blank), lengths: sum(cast(counts, "int32"), { axes: 1 }) };
}

/** The scores of each row's labels at every step: `[batch, time, labels]` from `[batch, time, classes]`. */
function ofLabels(logs: Tensor, labels: Tensor): Tensor {
  const [batch, time, classes] = logs.shape;
  const rows = reshape(transpose(logs, { permutation: [0, 2, 1] }), [multiplyDims(batch, classes), time]);
  const first = mul(iota([batch, 1], { axis: 0 }), fixedDim(classes, "The axis of the classes"));
  return transpose(gather(rows, add(first, labels)), { permutation: [0, 2, 1] });
}

/**
 * The logarithm of the probability of the labels, `[batch]`: the sum over all alignments (Graves et al.,
 * equations 5 to 8). The state is the probability of having just read a blank after so many labels, and of having
 * just read a label.
 */
function logLikelihood(
  logs: Tensor,
  { labels, lengths }: LabelSequences,
  blank: number,
  mask: Tensor | undefined,
): Tensor {
  const [batch] = logs.shape;
  const count = labels.shape[1];
  const none = (columns: Dim) => full([batch, columns], -Infinity, { dtype: logs.dtype });
  // A label may follow the one before without a blank between them if it is another one.
  const isOther = concat([
    zeros([batch, 1], { dtype: "bool" }),
    notEqual(
      sliceAxis(labels, 1, 1, subtractDims(count, 1)),
      sliceAxis(labels, 1, 0, subtractDims(count, 1)),
    ),
  ]);
  const start = select(
    equal(iota([1, addDims(count, 1)]), 0),
    zeros([batch, 1], { dtype: logs.dtype }),
    -Infinity,
  );
  const [, [atBlank, atLabel]] = scan(
    (
      [atBlank, atLabel]: readonly [Tensor, Tensor],
      { ofBlank, ofLabel }: Readonly<Record<string, Tensor>>,
    ) => {
      const labelBefore = concat([none(1), atLabel]);
      const before = sliceAxis(labelBefore, 1, 0, count);
      const next = [
        add(logAddExp(atBlank, labelBefore), ofBlank),
        add(logAddExp(atLabel, sliceAxis(atBlank, 1, 0, count), select(isOther, before, -Infinity)), ofLabel),
      ] as const;
      return [[], next];
    },
    [start, none(count)] as const,
    { ofBlank: sliceAxis(logs, 2, blank, 1), ofLabel: ofLabels(logs, labels) },
    { mask },
  );
  const ended = (states: Tensor, at: Tensor, columns: Dim) =>
    select(equal(iota([1, columns]), expandDims(at, 1)), states, -Infinity);
  return logSumExp(concat([
    ended(atBlank, lengths, addDims(count, 1)),
    ended(atLabel, sub(lengths, 1), count),
  ]));
}

/** A step for each label, and one for the blank between equal neighbors. */
function leastSteps(labels: readonly number[]): number {
  checkList("count the steps of ctc", labels, "the labels", "an array of class numbers");
  return labels.length + labels.filter((label, index) => label === labels[index - 1]).length;
}

/**
 * The loss of connectionist temporal classification: minus the logarithm of the probability that the labels are
 * what is read when repeated classes are merged and blanks are left out. One value for each sequence, not
 * divided by its length.
 *
 * Predictions are `[batch, time, classes]`. Steps that the mask leaves out do not count, so sequences may have
 * any length. Targets are int32 `[batch, labels]`; the labels of a row end before the first negative or blank
 * one, so rows of different length are padded with -1, or with the blank.
 *
 * A sequence that is too short for its labels has no alignment: labels need a step each, and one more between equal
 * neighbors. Its loss is infinite, or 0 with `zeroInfinity`, and its gradient 0; so this function, `computeLoss`
 * and compiled code do not throw. Without `zeroInfinity`, `fit`, `evaluate` and the other functions that take
 * data on the host throw a RangeError that names the first such sample, with both numbers of steps. A sequence
 * without labels has the loss of blanks only. If no step of a sequence counts, it
 * does not count.
 *
 * @throws RangeError for an unknown option or reduction, or a blank that is no class; TypeError for shapes that
 *   do not fit.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { computeLoss, ctc, item, tensor } from "@cellfold/cellfold";
 * // Two steps of equal probabilities: the label 1 is read from (1, 1), (1, blank) and (blank, 1).
 * const labels = tensor([[1, -1]], { dtype: "int32" });
 * const loss = item(computeLoss(ctc(), labels, tensor([[[0, 0, 0], [0, 0, 0]]])));
 * assertAlmostEquals(loss, -Math.log(3 / 9), 1e-6);
 * ```
 */
export function ctc(options: CtcOptions = {}): Loss {
  const type = "ctc";
  checkOptions(type, options, ["blank", "fromLogits", "zeroInfinity", "reduction"]);
  const { blank = 0, fromLogits = true, zeroInfinity = false, reduction = "sumOverBatchSize" } = options;
  checkBlank(`make ${type}`, blank);
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options: { blank, fromLogits, zeroInfinity, reduction },
    reduction,
    labels: "sequence",
    ofSequences: true,
    values(target, prediction, mask) {
      requirePrediction(type, prediction);
      if (prediction.shape.length !== 3) {
        throw new TypeError(
          `Cannot compute ctc: the prediction is ${printSpec(prediction)}, expected [batch, time, classes]`,
        );
      }
      const index = blankClass(type, blank, fixedDim(prediction.shape[2], "The axis of the classes"));
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? prediction : log(clipped(prediction)));
      const sequences = labelSequences(target, prediction, index);
      const likelihood = logLikelihood(logSoftmax(logits), sequences, index, mask);
      return zeroInfinity ? select(equal(likelihood, -Infinity), 0, neg(likelihood)) : neg(likelihood);
    },
    ...(zeroInfinity ? {} : { leastSteps }),
  }, lossMaking);
}
