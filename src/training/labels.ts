/**
 * Labels are checked on the host before anything runs: a class that does not exist would silently be counted
 * as something, and a sequence of labels that is too long for its prediction would make the loss infinite. Labels
 * that do not count may be anything, such as -1 at padded steps. Which ones count depends on the mask that the
 * model makes from its input; if that needs no weights, it is computed here, for samples with such labels.
 */
import { checkCount, checkFunction } from "../describe.ts";
import { takeRows } from "../data/batches.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { bindShapes } from "../program/bindings.ts";
import { type Dim, evaluateDim, fixedDim } from "../tensor/dims.ts";
import { host, type HostTensor, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { knownFunction } from "../transforms/known.ts";
import { flattenTree, mapTree, type Tree } from "../tree/tree.ts";
import { batchOf } from "./checks.ts";
import { checkLoss, type Loss } from "./losses.ts";
import type { Data, Head } from "./objective.ts";
import { withBatch } from "./open_sizes.ts";
import type { Session } from "./steps.ts";

/** The most samples whose masks are computed together, and the most values of their inputs, but for a single sample. */
const CHUNK = { samples: 1024, values: 2 ** 22 } as const;

/**
 * Checks the labels that count, of every output: that they are classes, and that sequences of labels are not too long.
 *
 * @throws RangeError naming the first invalid label, or the first sample with too many; TypeError for labels that are
 *   not int32.
 */
export function checkTargets(
  model: Layer,
  variables: Variables,
  session: Pick<Session, "objective" | "data" | "output">,
  data: Data,
): void {
  const { objective, output } = session;
  const outputs = flattenTree<Spec>(output).leaves;
  const targets = objective.targets(data.y as Tree<HostTensor>); // checkData has checked where they are
  objective.heads.forEach(({ loss, weight }, index) => {
    const { shape } = outputs[index];
    const target = targets[index];
    if (!loss || loss.labels === "dense" || !target) return;
    const classes = fixedDim(shape[shape.length - 1], "The axis of the classes");
    const countedOf = countedSteps(model, variables, session, data, index);
    checkLabels(loss, target, classes, labelCounts(loss, target, countedOf));
    // A loss of weight 0 is left out, however large it is.
    if (loss.leastSteps === undefined || weight === 0 || shape.length < 2) return;
    const shapes = (tree: Tree<Spec>) => flattenTree<Spec>(tree).leaves.map(({ shape }) => shape);
    const steps = typeof shape[1] === "number"
      ? shape[1]
      : evaluateDim(shape[1], bindShapes(shapes(session.data.x), shapes(data.x) as number[][])); // on the host
    checkLengths(loss, target, classes, { steps, countedOf });
  });
}

/**
 * What counts of a sample for the loss of an output: one value, or one for each step; undefined if everything does, or
 * if that cannot be known.
 */
type CountedOf = (sample: number) => ArrayLike<number> | undefined;

/** What says which steps of samples count; undefined if everything does, or if that cannot be known. */
type CountedRows = (rows: Data) => HostTensor | undefined;

/** The same by output and number of samples, or for any number. */
const countedRows = new WeakMap<Head, Map<Dim, CountedRows | undefined>>();

function countedSteps(
  model: Layer,
  variables: Variables,
  session: Pick<Session, "objective" | "data">,
  data: Data,
  index: number,
): CountedOf {
  const inputs = flattenTree<HostTensor>(data.x).leaves;
  const [samples] = inputs[0].shape;
  const batch = batchOf(model, variables.state);
  const perSample = inputs.reduce((values, { data }) => values + data.length / samples, 0);
  const size = typeof batch === "number"
    ? batch
    : Math.max(1, Math.min(CHUNK.samples, Math.floor(CHUNK.values / perSample)));
  let chunk = -1;
  let counted: HostTensor | undefined;
  return (sample) => {
    const wanted = Math.floor(sample / size);
    if (wanted !== chunk) {
      chunk = wanted;
      const rows = Int32Array.from(
        { length: Math.min(size, samples - chunk * size) },
        (_, row) => chunk * size + row,
      );
      const countsOf = countedRowsOf(model, variables, session, index, rows.length);
      counted = countsOf?.(takeRows(data, rows));
    }
    if (counted === undefined) return undefined;
    const perSample = counted.data.length / counted.shape[0];
    const first = (sample - chunk * size) * perSample;
    return counted.data.subarray(first, first + perSample);
  };
}

/** Traced once for all sizes that the session has open. */
function countedRowsOf(
  model: Layer,
  variables: Variables,
  { objective, data }: Pick<Session, "objective" | "data">,
  index: number,
  rows: number,
): CountedRows | undefined {
  const head = objective.heads[index];
  const known = countedRows.get(head) ?? new Map<Dim, CountedRows | undefined>();
  countedRows.set(head, known);
  const [batch] = flattenTree<Spec>(data.x).leaves[0].shape;
  const count = typeof batch === "number" ? rows : batch;
  if (known.has(count)) return known.get(count);
  const counts = knownFunction(
    ({ x, ...target }: Data, variables: Variables): readonly Tensor[] => {
      const found = objective.counted(model.apply(variables, x, { training: false }), target)[index];
      return found ? [found] : [];
    },
    withBatch(data, count),
    mapTree(variables, specOf),
  );
  const first = counts && ((rows: Data) => counts(rows)?.[0] as HostTensor | undefined); // the reference's are on the host
  known.set(count, first);
  return first;
}

const isTrue = (value: number) => value !== 0;

/** Whether the label at a place counts; true if that cannot be known. */
function labelCounts(loss: Loss, target: HostTensor, countedOf: CountedOf): (place: number) => boolean {
  const perSample = target.data.length / target.shape[0];
  return (place) => {
    const counted = countedOf(Math.floor(place / perSample));
    if (counted === undefined) return true;
    if (loss.labels === "sequence") return Array.from(counted).some(isTrue); // all labels of a sequence, or none
    return isTrue(counted[Math.floor((place % perSample) / (perSample / counted.length))]);
  };
}

/**
 * Throws a RangeError unless the sequences of labels that count are possible in the steps of their predictions, of
 * which there are `steps` without a mask.
 */
function checkLengths(
  loss: Loss,
  target: HostTensor,
  classes: number,
  { steps, countedOf }: { readonly steps: number; readonly countedOf: CountedOf },
): void {
  const isEnd = endOf(loss, classes);
  const [samples, width] = target.shape;
  for (let sample = 0; sample < samples; sample++) {
    const row = Array.from(target.data.subarray(sample * width, (sample + 1) * width));
    const end = row.findIndex(isEnd);
    const labels = end < 0 ? row : row.slice(0, end);
    const least = loss.leastSteps?.(labels) ?? 0;
    if (least === 0) continue;
    const counted = countedOf(sample);
    const counting = counted && Array.from(counted).filter(isTrue).length;
    const available = counted?.length === steps && counting !== undefined ? counting : steps;
    if (counting === 0 || least <= available) continue;
    const more = least > labels.length ? ", as equal neighbors take one more" : "";
    const remedy = "zeroInfinity" in loss.options ? ", or let it count as 0 with zeroInfinity: true" : "";
    throw new RangeError(
      `Cannot compute ${loss.type}: the ${labels.length} labels of sample ${sample} need ${least} steps${more}, ` +
        `but its prediction has ${available}${
          available === steps ? "" : " that count"
        }; give it fewer labels ` +
        `or more steps, leave it out${remedy}`,
    );
  }
}

/** Whether a label ends its sequence. */
function endOf({ options: { blank } }: Loss, classes: number): (label: number) => boolean {
  const end = typeof blank === "number" && blank < 0 ? blank + classes : blank;
  return (label) => label < 0 || label === end;
}

/**
 * Checks that labels are classes.
 *
 * @param target int32 `[samples]`, `[samples, 1]` or `[samples, time]`; `[samples, labels]` for sequences of labels,
 *   where a negative one, or the loss's blank, ends the sequence: what follows may be any number.
 * @param classes The size of the prediction's last axis.
 * @param counts Whether the label at a place, in row-major order, counts; by default all do.
 * @throws RangeError naming the first label outside 0 … classes - 1 and its place; `ignoreClass` passes.
 */
export function checkLabels(
  loss: Loss,
  target: HostTensor,
  classes: number,
  counts: (place: number) => boolean = () => true,
): void {
  checkLoss("check labels", loss);
  if (loss.labels === "dense") return;
  host(target); // throws if it is not a label tensor
  checkCount("check labels", classes, "the number of classes", 0);
  checkFunction("check labels", counts, "counts");
  if (target.dtype !== "int32") {
    throw new TypeError(
      `Cannot compute ${loss.type}: the labels are ${printSpec(target)}, expected int32 class numbers; ` +
        `use tensor(labels, { dtype: "int32" })`,
    );
  }
  const { ignoreClass } = loss.options;
  const isSequence = loss.labels === "sequence";
  const isEnd = endOf(loss, classes);
  const perSample = target.shape.slice(1).reduce((size, dim) => size * dim, 1);
  const isBehindEnd = (place: number) => target.data.subarray(place - place % perSample, place).some(isEnd);
  const wrong = target.data.findIndex((label, place) =>
    (label < 0 && !isSequence || label >= classes) && label !== ignoreClass &&
    !(isSequence && isBehindEnd(place)) && counts(place)
  );
  if (wrong < 0) return;
  const label = target.data[wrong];
  const step = perSample > 1 ? `, step ${wrong % perSample}` : "";
  const remedy = isSequence
    ? "fill rows with -1 behind their end"
    : `if it marks what does not count, ${
      "ignoreClass" in loss.options ? `give the loss ignoreClass: ${label}` : "give the model's input a mask"
    }`;
  throw new RangeError(
    `Cannot compute ${loss.type}: label ${label} at sample ${Math.floor(wrong / perSample)}${step} ` +
      `is outside 0 … ${classes - 1}; ${remedy}`,
  );
}
