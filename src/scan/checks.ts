/** What `scan` checks before anything runs: lengths that agree, and a state that keeps its type. */
import { checkCount } from "../describe.ts";
import { timeAxis } from "../program/types.ts";
import { checkDim, type Dim, sameShape } from "../tensor/dims.ts";
import { printSpec, type Spec } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, zipTrees } from "../tree/tree.ts";

/** The number of steps that all sequences share. */
export function commonLength(inputs: unknown, given: Dim | undefined): Dim {
  const { leaves, paths } = flattenTree<Spec>(inputs, "inputs");
  if (typeof given === "number") checkCount("scan", given, "options.length", 0);
  else if (given !== undefined) checkDim("scan", given, "options.length");
  let length = given;
  leaves.forEach((sequence, index) => {
    const where = `${printPath(paths[index], "inputs")} (${printSpec(sequence)})`;
    if (sequence.shape.length === 0) {
      throw new TypeError(`Cannot scan ${where}: a sequence needs a time axis`);
    }
    const steps = sequence.shape[timeAxis(sequence.shape.length)];
    if (length !== undefined && steps !== length) {
      throw new RangeError(`Cannot scan ${where}: it has ${steps} steps, expected ${length}`);
    }
    length = steps;
  });
  if (length === undefined) {
    throw new TypeError("Cannot scan: there are no inputs, so options.length must say how long");
  }
  return length;
}

/** Throws unless a step returned `[output, state]` with a state like the initial one. */
export function checkStep<Output, State>(
  result: readonly [Output, State],
  initialState: State,
): readonly [Output, State] {
  if (!Array.isArray(result) || result.length !== 2) {
    throw new TypeError("Cannot scan: the cell must return an array [output, state]");
  }
  const names = {
    first: "the initial state",
    second: "the state that the cell returns",
    root: "state",
    remedy:
      "return the state with every part that the initial one has, or begin with the parts that are returned",
  };
  checkSameStructure(initialState, result[1], names);
  zipTrees(initialState, result[1], (before: Spec, after: Spec, path) => {
    const where = printPath(path, "state");
    const change = `Cannot scan: the cell changes ${where} from ${printSpec(before)} to ${printSpec(after)}`;
    if (before.dtype !== after.dtype) {
      throw new TypeError(`${change}; return cast(…, "${before.dtype}"), or begin with ${after.dtype}`);
    }
    if (!sameShape(before.shape, after.shape)) {
      throw new TypeError(`${change}; begin with zeros(${
        JSON.stringify(after.shape.map(String))
          .replaceAll('"', "")
      }), or return the shape it had`);
    }
  });
  return result;
}

/** Throws unless `resetState` has the structure, shapes and dtypes of the initial state. */
export function checkResetState(resetState: unknown, initialState: unknown): void {
  checkSameStructure(initialState, resetState, { first: "the initial state", second: "the resetState" });
  zipTrees(initialState, resetState, (wanted: Spec, found: Spec, path) => {
    if (wanted.dtype === found.dtype && sameShape(wanted.shape, found.shape)) return;
    throw new TypeError(
      `Cannot scan with the resetState ${printSpec(found)} at ${printPath(path, "resetState")}: ` +
        `expected ${printSpec(wanted)}, as in the initial state`,
    );
  });
}
