/**
 * Labels read from the predictions of connectionist temporal classification, on the host: the best class of each step,
 * or a search over prefixes of labels (Hannun et al., "First-pass large vocabulary continuous speech recognition using
 * bi-directional recurrent DNNs", 2014).
 */
import { checkCount, describeValue } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { host, type HostTensor, isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { blankClass, checkBlank } from "./ctc.ts";

/** Options of {@linkcode ctcGreedyDecode}. */
export interface CtcDecodeOptions {
  /** The class that stands for no label; negative ones count from the last class, -1. Default 0. */
  readonly blank?: number;
  /** Whether predictions are logits, or logarithms of probabilities, instead of probabilities; default true. */
  readonly fromLogits?: boolean;
  /** How many steps of each row count, from the first on; default all. */
  readonly lengths?: readonly number[] | Tensor;
  /** bool `[batch, time]`: which steps count; default all. */
  readonly mask?: Tensor;
}

/** Options of {@linkcode ctcBeamSearch}. */
export interface CtcBeamSearchOptions extends CtcDecodeOptions {
  /** How many prefixes are kept from step to step; default 100. */
  readonly beamWidth?: number;
  /** How many results each row has at most, the best first; default 1. */
  readonly topPaths?: number;
}

/** What was read from one row. */
export interface Decoded {
  /** The labels, without blanks. */
  readonly labels: readonly number[];
  /**
   * The logarithm of the probability: of the best alignment alone for {@linkcode ctcGreedyDecode}, of all alignments
   * that the search kept for {@linkcode ctcBeamSearch}.
   */
  readonly logProbability: number;
}

const optionNames = ["blank", "fromLogits", "lengths", "mask"] as const;

/** The rows of a batch: for each step that counts, the logarithms of the probabilities of all classes. */
interface Rows {
  readonly blank: number;
  readonly rows: readonly (readonly Float64Array[])[];
}

function rowsOf(what: string, given: Tensor, options: CtcDecodeOptions): Rows {
  const prediction = host(given);
  const { shape, data } = prediction;
  if (shape.length !== 3 || !prediction.dtype.startsWith("float")) {
    throw new TypeError(
      `Cannot compute ${what}: the prediction is ${
        printSpec(prediction)
      }, expected floats [batch, time, classes]`,
    );
  }
  const { blank = 0, fromLogits = true } = options;
  checkBlank(`compute ${what}`, blank);
  const [batch, time, classes] = shape;
  const counts = countedSteps(what, prediction, options);
  const row = (index: number) =>
    Array.from({ length: time }, (_, step) => step).filter((step) => counts(index, step)).map((step) => {
      const start = (index * time + step) * classes;
      return logProbabilities(data.subarray(start, start + classes), fromLogits);
    });
  return {
    blank: blankClass(what, blank, classes),
    rows: Array.from({ length: batch }, (_, index) => row(index)),
  };
}

/** Whether a step of a row counts. */
function countedSteps(
  what: string,
  { shape: [batch, time] }: HostTensor,
  { lengths, mask }: CtcDecodeOptions,
): (row: number, step: number) => boolean {
  const steps = lengths === undefined ? undefined : isTensor(lengths) ? host(lengths).data : lengths;
  const isList = steps === undefined || Array.isArray(steps) || ArrayBuffer.isView(steps);
  const wrong = isList
    ? steps?.length === undefined || steps.length === batch ? undefined : steps.length
    : -1;
  if (wrong !== undefined) {
    throw new TypeError(
      `Cannot compute ${what}: lengths is ${
        describeValue(lengths)
      }, expected a number of steps for each of ${batch} rows`,
    );
  }
  steps?.forEach((length: number) => checkCount(`compute ${what}`, length, "each of lengths", 0, time));
  const counts = mask === undefined ? undefined : host(mask);
  if (counts && (counts.dtype !== "bool" || counts.shape.join() !== [batch, time].join())) {
    throw new TypeError(
      `Cannot compute ${what}: the mask is ${printSpec(counts)}, expected bool[${batch}, ${time}]`,
    );
  }
  return (row, step) =>
    (steps === undefined || step < steps[row]) && (!counts || counts.data[row * time + step] !== 0);
}

function logProbabilities(values: ArrayLike<number>, fromLogits: boolean): Float64Array {
  const logs = Float64Array.from(values, (value) => fromLogits ? value : Math.log(value));
  const largest = logs.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = largest + Math.log(logs.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return logs.map((value) => value - total);
}

/**
 * The labels of the most probable class of each step: repeated ones merged, blanks left out. It is fast, and finds
 * the best single alignment, which need not be that of the most probable labels; {@linkcode ctcBeamSearch} adds
 * alignments up.
 *
 * @param prediction float `[batch, time, classes]` on the host, as `predict` gives.
 * @returns For each row its labels.
 * @throws TypeError for another shape, or lengths or a mask that do not fit; RangeError for an unknown option, or a
 *   blank that is no class.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ctcGreedyDecode, oneHot, tensor } from "@cellfold/cellfold";
 * const steps = tensor([[0, 2, 2, 0, 2, 1]], { dtype: "int32" });
 * const [{ labels }] = ctcGreedyDecode(oneHot(steps, 3));
 * assertEquals(labels, [2, 2, 1]);
 * ```
 */
export function ctcGreedyDecode(prediction: Tensor, options: CtcDecodeOptions = {}): Decoded[] {
  const what = "ctcGreedyDecode";
  checkOptions(what, options, optionNames);
  const { blank, rows } = rowsOf(what, prediction, options);
  return rows.map((steps) => {
    const labels: number[] = [];
    let logProbability = 0;
    let before = blank;
    for (const logs of steps) {
      const best = logs.reduce((best, value, index) => value > logs[best] ? index : best, 0);
      logProbability += logs[best];
      if (best !== blank && best !== before) labels.push(best);
      before = best;
    }
    return { labels, logProbability };
  });
}

/** A sequence of labels, as the last label after another prefix; each exists once. */
interface Prefix {
  readonly parent: Prefix | undefined;
  readonly label: number;
  readonly longer: Map<number, Prefix>;
}

/** Logarithms of the probabilities of all alignments of a prefix. */
interface Scores {
  /** Of those that end with a blank. */
  blank: number;
  /** Of those that end with the last label. */
  label: number;
}

function logAdd(a: number, b: number): number {
  const [most, least] = [Math.max(a, b), Math.min(a, b)]; // NaN of NaN, in either place
  return most === -Infinity ? most : most + Math.log1p(Math.exp(least - most));
}

function labelsOf(prefix: Prefix): number[] {
  const labels: number[] = [];
  for (let at = prefix; at.parent; at = at.parent) labels.push(at.label);
  return labels.reverse();
}

/**
 * The most probable labels, by a beam search over prefixes: alignments of the same labels are added up, and the
 * `beamWidth` most probable prefixes are kept from step to step. With a beam that holds all prefixes the result is
 * exact.
 *
 * @param prediction float `[batch, time, classes]` on the host, as `predict` gives.
 * @returns For each row its results, the most probable first; of equal ones that found first.
 * @throws TypeError for another shape, or lengths or a mask that do not fit; RangeError for an unknown option, a value
 *   out of range, or a blank that is no class.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ctcBeamSearch, ctcGreedyDecode, tensor } from "@cellfold/cellfold";
 * // At both steps the blank is the best class, but the label 1 has three alignments.
 * const probabilities = tensor([[[0.6, 0.4], [0.6, 0.4]]]);
 * assertEquals(ctcGreedyDecode(probabilities, { fromLogits: false })[0].labels, []);
 * assertEquals(ctcBeamSearch(probabilities, { fromLogits: false })[0][0].labels, [1]);
 * ```
 */
export function ctcBeamSearch(prediction: Tensor, options: CtcBeamSearchOptions = {}): Decoded[][] {
  const what = "ctcBeamSearch";
  checkOptions(what, options, [...optionNames, "beamWidth", "topPaths"]);
  const { beamWidth = 100, topPaths = 1 } = options;
  checkCount(`compute ${what}`, beamWidth, "beamWidth");
  checkCount(`compute ${what}`, topPaths, "topPaths", 1, beamWidth);
  const { blank, rows } = rowsOf(what, prediction, options);
  return rows.map((steps) => {
    const root: Prefix = { parent: undefined, label: blank, longer: new Map() };
    let beam: [Prefix, Scores][] = [[root, { blank: 0, label: -Infinity }]];
    for (const logs of steps) {
      const labels = labelsToTry(beam, logs, blank, beamWidth);
      beam = mostProbable(nextScores(beam, logs, blank, labels), beamWidth);
    }
    return beam.slice(0, topPaths).map(([prefix, scores]) => ({
      labels: labelsOf(prefix),
      logProbability: logAdd(scores.blank, scores.label),
    }));
  });
}

/**
 * The labels that may follow at a step, in order. The prefixes that a prefix becomes differ only in the probability of
 * their last label, so no more than the most probable ones can be kept, and one more, as the last label of a prefix
 * counts less when it comes again. Labels that end a kept prefix are tried too: they add to what that has.
 */
function labelsToTry(
  beam: readonly [Prefix, Scores][],
  logs: Float64Array,
  blank: number,
  beamWidth: number,
): readonly number[] {
  const fewest = beamWidth + 2; // the blank is one of them
  const limit = logs.length <= fewest ? -Infinity : logs.toSorted()[logs.length - fewest];
  const ends = new Set(beam.map(([prefix]) => prefix.label));
  const isLess = (label: number) => logs[label] < limit && !ends.has(label); // NaN is not less
  return Array.from(logs.keys()).filter((label) =>
    label !== blank && logs[label] !== -Infinity && !isLess(label)
  );
}

function nextScores(
  beam: readonly [Prefix, Scores][],
  logs: Float64Array,
  blank: number,
  labels: readonly number[],
): Map<Prefix, Scores> {
  const next = new Map<Prefix, Scores>();
  const scoresOf = (prefix: Prefix): Scores => {
    let scores = next.get(prefix);
    if (!scores) next.set(prefix, scores = { blank: -Infinity, label: -Infinity });
    return scores;
  };
  for (const [prefix, scores] of beam) {
    const both = logAdd(scores.blank, scores.label);
    const same = scoresOf(prefix);
    same.blank = logAdd(same.blank, both + logs[blank]);
    if (prefix.parent) same.label = logAdd(same.label, scores.label + logs[prefix.label]);
    for (const label of labels) {
      // The last label again is another one only after a blank.
      const before = prefix.parent && label === prefix.label ? scores.blank : both;
      if (before === -Infinity) continue;
      let longer = prefix.longer.get(label);
      if (!longer) prefix.longer.set(label, longer = { parent: prefix, label, longer: new Map() });
      const found = scoresOf(longer);
      found.label = logAdd(found.label, before + logs[label]);
    }
  }
  return next;
}

function mostProbable(scores: Map<Prefix, Scores>, count: number): [Prefix, Scores][] {
  const total = ({ blank, label }: Scores) => logAdd(blank, label);
  return [...scores].map((entry) => ({ entry, total: total(entry[1]) }))
    .sort((a, b) => b.total - a.total || 0) // a stable sort; the difference of two infinities is no order
    .slice(0, count).map(({ entry }) => entry);
}
