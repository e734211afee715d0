/** How far sequences of labels are from those that were wanted; on the host, as their lengths differ. */
import { checkList } from "../describe.ts";

/** Labels: an array, a typed array, or a text, which is compared by its characters. */
export type LabelSequence = ArrayLike<number | string> | string;

function checkLabelSequence(what: string, value: unknown, name: string): void {
  if (typeof value === "string" || ArrayBuffer.isView(value)) return;
  checkList(what, value, name, "a text, or an array of labels");
}

/**
 * The smallest number of labels to insert, delete or replace that turns one sequence into the other (Levenshtein,
 * 1966). Texts are compared by their characters.
 *
 * @throws TypeError for anything but a text or an array.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { editDistance } from "@cellfold/cellfold";
 * assertEquals(editDistance("kitten", "sitting"), 3);
 * assertEquals(editDistance([1, 2, 3], [1, 3]), 1);
 * ```
 */
export function editDistance(a: LabelSequence, b: LabelSequence): number {
  checkLabelSequence("compute editDistance", a, "a");
  checkLabelSequence("compute editDistance", b, "b");
  const [from, to] = [Array.from<number | string>(a), Array.from<number | string>(b)];
  let row = Uint32Array.from({ length: to.length + 1 }, (_, index) => index);
  from.forEach((label, index) => {
    const next = new Uint32Array(row.length);
    next[0] = index + 1;
    for (let column = 1; column < row.length; column++) {
      const replaced = row[column - 1] + (label === to[column - 1] ? 0 : 1);
      next[column] = Math.min(replaced, row[column] + 1, next[column - 1] + 1);
    }
    row = next;
  });
  return row[to.length];
}

/**
 * The error rate of sequences: all their edit distances over all labels that were wanted. Of characters it is the
 * character error rate, of arrays of words the word error rate. It may exceed 1.
 *
 * @param predictions What was decoded, one sequence for each sample.
 * @param references What was wanted, as many.
 * @returns 0 if there are no labels and none is predicted, infinity if there are none and some are.
 * @throws TypeError for anything but lists of sequences; RangeError if their numbers differ.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { errorRate } from "@cellfold/cellfold";
 * assertEquals(errorRate(["helo", "word"], ["hello", "world"]), 2 / 10);
 * ```
 */
export function errorRate(
  predictions: readonly LabelSequence[],
  references: readonly LabelSequence[],
): number {
  const what = "compute errorRate";
  checkList(what, predictions, "the predictions", "an array of sequences");
  checkList(what, references, "the references", "an array of sequences");
  if (predictions.length !== references.length) {
    throw new RangeError(
      `Cannot ${what}: there are ${predictions.length} predictions and ${references.length} references, expected as ` +
        `many of both`,
    );
  }
  predictions.forEach((each, index) => checkLabelSequence(what, each, `prediction ${index}`));
  references.forEach((each, index) => checkLabelSequence(what, each, `reference ${index}`));
  const edits = predictions.reduce((total, each, index) => total + editDistance(each, references[index]), 0);
  const labels = references.reduce((total, each) => total + Array.from<number | string>(each).length, 0);
  return edits === 0 ? 0 : edits / labels;
}
