/**
 * Labels are checked on the host before anything runs: a class that does not exist would silently be counted
 * as something. Labels that do not count may be anything, such as -1 at padded steps. Which ones count
 * depends on the mask that the model makes from its input; if that needs no weights, it is computed here, for
 * samples with such labels.
 */
import { checkCount, checkFunction } from "../describe.ts";
import { takeRows } from "../data/batches.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { fixedDim } from "../tensor/dims.ts";
import { host, type HostTensor, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { resultFrom } from "../transforms/known.ts";
import { flattenTree, mapTree, type Tree } from "../tree/tree.ts";
import { batchOf } from "./checks.ts";
import { checkLoss, type Loss } from "./losses.ts";
import type { Data, Objective } from "./objective.ts";

/** The number of samples whose masks are computed together. */
const CHUNK = 1024;

/**
 * Checks that the labels that count, of every output, are classes.
 *
 * @param output The specs of the model's output.
 * @throws RangeError naming the first invalid label; TypeError for labels that are not int32.
 */
export function checkTargets(
  model: Layer,
  variables: Variables,
  { objective, output }: { readonly objective: Objective; readonly output: Tree<Spec> },
  data: Data,
): void {
  const outputs = flattenTree<Spec>(output).leaves;
  const targets = objective.targets(data.y as Tree<HostTensor>); // checkData has checked where they are
  objective.heads.forEach(({ loss }, index) => {
    const { shape } = outputs[index];
    const target = targets[index];
    if (!loss || loss.labels === "dense" || !target) return;
    checkLabels(
      loss,
      target,
      fixedDim(shape[shape.length - 1], "The axis of the classes"),
      countedLabels(model, variables, objective, data, { target, index }),
    );
  });
}

/** Whether the label at a place counts for the loss of the output at `head`; true if that cannot be known. */
function countedLabels(
  model: Layer,
  { params, state }: Variables,
  objective: Objective,
  data: Data,
  { target, index: head }: { readonly target: HostTensor; readonly index: number },
): (place: number) => boolean {
  const [samples] = target.shape;
  const perSample = target.data.length / samples;
  const batch = batchOf(model, state);
  const size = typeof batch === "number" ? batch : CHUNK;
  let chunk = -1;
  let counted: HostTensor | undefined;
  return (place) => {
    const wanted = Math.floor(place / perSample / size);
    if (wanted !== chunk) {
      chunk = wanted;
      const rows = Int32Array.from(
        { length: Math.min(size, samples - chunk * size) },
        (_, row) => chunk * size + row,
      );
      counted = countedRows(takeRows(data, rows));
    }
    if (counted === undefined) return true;
    const inChunk = place - chunk * size * perSample;
    const perCounted = perSample / (counted.data.length / counted.shape[0]); // all labels of a sequence, or one
    return counted.data[Math.floor(inChunk / perCounted)] !== 0;
  };

  function countedRows(rows: Data): HostTensor | undefined {
    const counts = resultFrom(
      ({ x, ...target }: Data, variables: Variables): readonly Tensor[] => {
        const found = objective.counted(model.apply(variables, x, { training: false }), target)[head];
        return found ? [found] : [];
      },
      rows,
      { params: mapTree(params, specOf), state: mapTree(state, specOf) },
    );
    return counts?.[0] as HostTensor | undefined; // the reference computes on the host
  }
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
  const { ignoreClass, blank } = loss.options;
  const isSequence = loss.labels === "sequence";
  const end = typeof blank === "number" && blank < 0 ? blank + classes : blank;
  const perSample = target.shape.slice(1).reduce((size, dim) => size * dim, 1);
  const isBehindEnd = (place: number) =>
    target.data.subarray(place - place % perSample, place).some((label) => label < 0 || label === end);
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
