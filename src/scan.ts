/**
 * The combinator: a cell folded over a sequence. This file says what `scan` means; how it is differentiated is in
 * operations/scan.ts, how it is made fast in transforms/optimise, how it runs in kernels.
 *
 * A cell is a pure function `(state, input) => [output, state]`. State, input and output are trees: a tensor, or
 * arrays and objects of tensors to any depth. Parameters are closed over.
 */
import { apply } from "./operations/apply.ts";
import { and, less, select } from "./operations/elementwise.ts";
import { iota } from "./operations/indexing.ts";
import { scanOperation } from "./operations/scan.ts";
import { concat, expandDims, reshape, sliceAxis, transpose, zerosLike } from "./operations/structure.ts";
import { traceFlat } from "./program/trace.ts";
import { outputSpecs } from "./transforms/output_specs.ts";
import { stepSpec, timeAxis } from "./program/types.ts";
import { type Dim, fixedDim, sameShape } from "./tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "./tensor/tensor.ts";
import { checkSameStructure, flattenTree, mapTree, printPath, unflattenTree, zipTrees } from "./tree/tree.ts";

/** One step: from the state and the step's input, the output and the next state. Pure; parameters are closed over. */
export type Cell<State, Input, Output> = (
  state: State,
  input: Input,
) => readonly [output: Output, state: State];

/** How a scan goes over its sequence. */
export interface ScanOptions {
  /** From the last step to the first; outputs stay with the step that made them. Default false. */
  readonly reverse?: boolean;
  /** bool `[batch, time]`: where it is false the state stays as it is. Any pattern of holes. */
  readonly mask?: Tensor;
  /** int32 `[batch]`: the steps of each row that count, from the first; 0 is allowed. */
  readonly lengths?: Tensor;
  /** What a masked step puts out: the output of the step before (zeros at first), as Keras, or zeros. */
  readonly maskedOutput?: "previous" | "zero";
  /** Keeps one state per this many steps for the derivative and computes the rest again: less memory, more work. */
  readonly checkpointEvery?: number;
  /** The number of steps; needed only where `inputs` has no tensors. */
  readonly length?: Dim;
}

/**
 * Folds `cell` over a sequence.
 *
 * @param cell The step; traced once, whatever the length.
 * @param initialState The state before the first step.
 * @param inputs A tree of sequences, batch-major: `[batch, time, ...]`, or `[time]` for scalars. The cell gets the
 *   same tree of steps: `[batch, ...]`, or scalars.
 * @returns The outputs, each step's stacked along time, and the state after the last step. A sequence of length 0
 *   gives empty outputs and the initial state.
 * @throws TypeError if the state changes its structure, shape or dtype, naming the path and the remedy.
 *
 * @example
 * ```ts
 * import { add, scan, tensor, toNested } from "@cellfold/cellfold";
 * // A running sum: [batch, time] = [1, 4].
 * const [outputs, last] = scan((total, x) => [add(total, x), add(total, x)], tensor([0]), tensor([[1, 2, 3, 4]]));
 * console.assert(JSON.stringify(toNested(outputs)) === "[[1,3,6,10]]");
 * console.assert(JSON.stringify(toNested(last)) === "[10]");
 * ```
 */
export function scan<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  options: ScanOptions = {},
): [outputs: Output, finalState: State] {
  const { reverse = false, maskedOutput = "previous", checkpointEvery } = options;
  const length = commonLength(inputs, options.length);
  const checked: typeof cell = (state, input) => checkStep(cell(state, input), initialState);
  const mask = maskOf(options, inputs, length);
  if (mask) {
    const previous = maskedOutput === "previous" ? zerosOfOutput(checked, initialState, inputs) : undefined;
    const [outputs, final] = foldSegments(
      maskedCell(checked),
      { state: initialState, previous },
      { input: inputs, mask },
      { length, reverse, checkpointEvery },
    );
    return [outputs, final.state];
  }
  return foldSegments(checked, initialState, inputs, { length, reverse, checkpointEvery });
}

interface Fold {
  readonly length: Dim;
  readonly reverse: boolean;
}

/** The primitive: traces the cell once and applies `scan` to what it closes over, the state and the sequences. */
function fold<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  options: Fold & { readonly recompute: boolean },
): [Output, State] {
  const state = flattenTree<Tensor>(initialState);
  const sequences = flattenTree<Tensor>(inputs);
  const carries = state.leaves.length;
  const { program, captured, result: outputStructure } = traceFlat(
    [...state.leaves, ...sequences.leaves.map(stepSpec)],
    (tracers) => {
      const [output, next] = cell(
        unflattenTree<State>(state.structure, tracers.slice(0, carries)),
        unflattenTree<Input>(sequences.structure, tracers.slice(carries)),
      );
      const { leaves, structure } = flattenTree<Tensor>(output, "output");
      return { outputs: [...flattenTree<Tensor>(next).leaves, ...leaves], result: structure };
    },
    { capturesConstants: true },
  );
  const given = carries + sequences.leaves.length;
  const body = { ...program, inputs: [...program.inputs.slice(given), ...program.inputs.slice(0, given)] };
  const results = apply(scanOperation, [...captured, ...state.leaves, ...sequences.leaves], {
    body,
    constants: captured.length,
    carries,
    ...options,
  });
  return [
    unflattenTree<Output>(outputStructure, results.slice(carries)),
    unflattenTree<State>(state.structure, results.slice(0, carries)),
  ];
}

/** With `checkpointEvery`: a scan over segments whose derivative computes each segment again, then what is left. */
function foldSegments<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  { checkpointEvery: size, ...options }: Fold & { readonly checkpointEvery?: number },
): [Output, State] {
  if (size === undefined) return fold(cell, initialState, inputs, { ...options, recompute: false });
  if (!Number.isInteger(size) || size < 1) {
    throw new RangeError(
      `Cannot scan with checkpointEvery: current value is ${size}, expected a whole number from 1`,
    );
  }
  const length = fixedDim(options.length, "checkpointEvery");
  const count = Math.floor(length / size);
  const whole = count * size;
  const part = (from: number, steps: number) => mapTree(inputs, (x: Tensor) => sliceTime(x, from, steps));
  const segments = (state: State): [Output, State] => {
    const cut = mapTree(part(0, whole), (x: Tensor) => segmented(x, count, size));
    const [outputs, final] = fold(
      (carry: State, segment: Input) =>
        fold(cell, carry, segment, { ...options, length: size, recompute: false }),
      state,
      cut,
      { ...options, length: count, recompute: true },
    );
    return [mapTree(outputs, (x: Tensor) => joined(x, whole)), final];
  };
  const rest = (state: State): [Output, State] =>
    fold(cell, state, part(whole, length - whole), { ...options, length: length - whole, recompute: false });
  if (whole === length) return segments(initialState);
  const [first, second] = options.reverse ? [rest, segments] : [segments, rest];
  const [firstOutputs, between] = first(initialState);
  const [secondOutputs, final] = second(between);
  const [early, late] = options.reverse ? [secondOutputs, firstOutputs] : [firstOutputs, secondOutputs];
  const outputs = zipTrees(
    early,
    late,
    (a: Tensor, b: Tensor) => concat([a, b], { axis: timeAxis(a.shape.length) }),
  );
  return [outputs, final];
}

function sliceTime(x: Tensor, from: Dim, steps: Dim): Tensor {
  return sliceAxis(x, timeAxis(x.shape.length), from, steps);
}

/** `[batch, count·size, ...]` as a sequence of `count` segments `[batch, size, ...]` (of scalars: `[size]`). */
function segmented(x: Tensor, count: number, size: number): Tensor {
  if (x.shape.length === 1) return transpose(reshape(x, [count, size]));
  return reshape(x, [x.shape[0], count, size, ...x.shape.slice(2)]);
}

/** The inverse of `segmented`. */
function joined(x: Tensor, length: number): Tensor {
  const scalars = x.shape.length === 2;
  return scalars ? reshape(transpose(x), [length]) : reshape(x, [x.shape[0], length, ...x.shape.slice(3)]);
}

/** The cell that keeps its state where the step's mask is false, and puts out what it put out before, or zeros. */
function maskedCell<State, Input, Output>(cell: Cell<State, Input, Output>): Cell<
  { readonly state: State; readonly previous: Output | undefined },
  { readonly input: Input; readonly mask: Tensor },
  Output
> {
  return ({ state, previous }, { input, mask }) => {
    const [output, next] = cell(state, input);
    const shown = choose(mask, output, previous ?? mapTree(output, (x: Tensor) => zerosLike(x)));
    return [shown, { state: choose(mask, next, state), previous: previous && shown }];
  };
}

/** `whenTrue` in the rows where `mask` (`[batch]`) holds, else `whenFalse`. */
function choose<T>(mask: Tensor, whenTrue: T, whenFalse: T): T {
  return zipTrees(whenTrue, whenFalse, (a: Tensor, b: Tensor, path) => {
    if (a.shape[0] !== mask.shape[0]) {
      throw new TypeError(
        `Cannot mask ${printSpec(a)} at ${printPath(path)}: its first axis is not the batch of ` +
          `${mask.shape[0]} that the mask has`,
      );
    }
    return a === b ? a : select(reshape(mask, [mask.shape[0], ...a.shape.slice(1).map(() => 1)]), a, b);
  });
}

function zerosOfOutput<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  state: State,
  inputs: Input,
): Output {
  const [output] = outputSpecs(cell, state, mapTree(inputs, (x: Spec) => stepSpec(x)));
  return mapTree(output, (x: Spec) => zerosLike(x));
}

/** The number of steps that all sequences share. */
function commonLength(inputs: unknown, given: Dim | undefined): Dim {
  const { leaves, paths } = flattenTree<Spec>(inputs, "inputs");
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

function maskOf({ mask, lengths }: ScanOptions, inputs: unknown, length: Dim): Tensor | undefined {
  if (mask === undefined && lengths === undefined) return undefined;
  const batch = flattenTree<Spec>(inputs).leaves.find(({ shape }) => shape.length > 1)?.shape[0];
  const check = (name: string, given: Tensor, dtype: string, shape: readonly (Dim | undefined)[]) => {
    if (
      given.dtype !== dtype || given.shape.length !== shape.length ||
      given.shape.some((dim, axis) => shape[axis] !== undefined && dim !== shape[axis])
    ) {
      throw new TypeError(
        `Cannot scan with the ${name} ${printSpec(given)}: expected ${dtype}[${
          shape.map((dim) => dim ?? "batch").join(", ")
        }]`,
      );
    }
  };
  if (mask) check("mask", mask, "bool", [batch, length]);
  if (!lengths) return mask;
  check("lengths", lengths, "int32", [batch]);
  const counted = less(iota([1, length]), expandDims(lengths, 1));
  return mask ? and(mask, counted) : counted;
}

/** Throws unless a step returned `[output, state]` with a state like the initial one. */
function checkStep<Output, State>(
  result: readonly [Output, State],
  initialState: State,
): readonly [Output, State] {
  if (!Array.isArray(result) || result.length !== 2) {
    throw new TypeError("Cannot scan: the cell must return an array [output, state]");
  }
  const names = { first: "the initial state", second: "the state that the cell returns" };
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
