/**
 * Values given for the outputs of a model: one for all, or a tree like the outputs. Losses, metrics, weights,
 * masks and targets are matched to outputs here; what they mean is in `objective.ts`.
 */
import { wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { isLeaf, type Spec } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, type Path, printPath, type Tree } from "../tree/tree.ts";

/**
 * One value for every output, or a tree like the outputs with one value for each (or for each part of it).
 */
export type PerOutput<Value> =
  | Value
  | readonly PerOutput<Value>[]
  | { readonly [output: string]: PerOutput<Value> | undefined };

/** What is given for outputs. */
interface OutputOption<Value> {
  /** What it is called in errors. */
  readonly what: string;
  /** What a value is called in errors. */
  readonly value: string;
  /** The value of an output that has none, or null. */
  readonly missing: Value;
  /** Whether a list may end early. */
  readonly mayEnd?: boolean;
}

/**
 * Per output leaf, its value in `given`: a value applies to all leaves below its place.
 *
 * @throws TypeError if `given` has another structure than the outputs; RangeError for an unknown output.
 */
export function spread<Value, Missing>(
  given: unknown,
  output: Tree<Spec>,
  isValue: (value: unknown) => value is Value,
  option: OutputOption<Missing>,
  path: Path = [],
): (Value | Missing)[] {
  if (isValue(given)) return flattenTree(output).leaves.map(() => given);
  if (given === undefined || given === null) return flattenTree(output).leaves.map(() => option.missing);
  const fail = (expected: string): never => {
    const where = path.length === 0 ? "the output" : `the output ${printPath(path)}`;
    throw wrongKind(`use ${option.what} for ${where}`, given, "it", expected);
  };
  if (isLeaf(output)) return fail(`${option.value}, as the output is one tensor`);
  if (Array.isArray(output)) {
    const fits = Array.isArray(given) &&
      (option.mayEnd ? given.length <= output.length : given.length === output.length);
    if (!fits) return fail(`one value for all, or a list of ${output.length}`);
    return output.flatMap((part, index) => spread(given[index], part, isValue, option, [...path, index]));
  }
  const keys = Object.keys(output).sort();
  if (typeof given !== "object" || Array.isArray(given)) {
    return fail(`one value for all, or an object with the keys ${keys.join(", ")}`);
  }
  const stray = Object.keys(given).find((key) => !keys.includes(key));
  if (stray !== undefined) throw unknownName(`output of ${option.what}`, stray, keys);
  return keys.flatMap((key) => {
    const part = (output as { readonly [key: string]: Tree<Spec> })[key]; // neither leaf nor array
    return spread(childOf(given, key), part, isValue, option, [...path, key]);
  });
}

/** What an object has of its own under a key: an output may be named like a member of Object. */
function childOf(given: unknown, key: string | number): unknown {
  const has = typeof given === "object" && given !== null && Object.hasOwn(given, key);
  return has ? (given as Readonly<Record<string | number, unknown>>)[key] : undefined; // any object may be read so
}

/**
 * Per output, the place of its target among the leaves of `target`; undefined if it has none.
 *
 * @param isUsed Whether the output at an index has a loss or a metric, so that it needs a target.
 * @throws TypeError if the targets do not match the outputs, naming the path.
 */
export function placesOfTargets(
  output: Tree<Spec>,
  target: Tree<Spec>,
  isUsed: (index: number) => boolean,
): (number | undefined)[] {
  let next = 0;
  const withTarget = (part: Tree<Spec>, given: unknown): Tree<Spec> | undefined => {
    if (isLeaf(part)) return isUsed(next++) || given !== undefined ? part : undefined;
    if (Array.isArray(part)) {
      const parts = part.map((inner, index) => withTarget(inner, childOf(given, index)));
      const kept = parts.findLastIndex((inner) => inner !== undefined) + 1;
      return kept === 0 ? undefined : part.slice(0, kept); // in a list only the last ones can be left out
    }
    const entries = Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1);
    const kept = entries.flatMap(([key, inner]) => {
      const found = withTarget(inner, childOf(given, key));
      return found === undefined ? [] : [[key, found]];
    });
    return kept.length === 0 && entries.length > 0 ? undefined : Object.fromEntries(kept);
  };
  const expected = withTarget(output, target);
  checkSameStructure(expected ?? output, target, { first: "the model's output", second: "y" });
  const paths = flattenTree(target).paths.map((path) => printPath(path));
  return flattenTree(output).paths.map((path) => {
    const place = paths.indexOf(printPath(path));
    return place < 0 ? undefined : place;
  });
}
