/**
 * Whether a function that carries state across calls gives the same results for the chunks of a sequence as
 * for the whole. It is traced over an open number of steps and its Program analyzed equation by equation;
 * nothing is computed. Besides constants there are three kinds of values: sequences, each step of which is
 * known when its input is; values for all steps so far (a state, the last output); and those that mix steps
 * in another way, which a chunk cannot provide.
 */
import { isTraced, placeOfEquation, traceFlat, valueOf } from "../program/trace.ts";
import { type Attributes, type Equation, timeAxis, type Value } from "../program/types.ts";
import { type Dim, subtractDims } from "../tensor/dims.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Path, unflattenTree } from "../tree/tree.ts";
import { type Followed, isWhole, placeOf, TIME, wholePlace } from "./sequence_axes.ts";
import { followEquation, mentions } from "./step_rules.ts";

/** Why a function does not give the same results for chunks as for the whole sequence. */
export interface Unstreamable {
  /** The primitive that makes a step depend on steps outside its chunk; undefined if time is moved. */
  readonly operation: string | undefined;
  /** The layer or function that contains it, if known. */
  readonly place: string | undefined;
  /** The place in the output. */
  readonly path: Path;
}

type Kind =
  /** The same in every call. */
  | { readonly kind: "fixed" }
  | { readonly kind: "steps"; readonly followed: Followed }
  /** A leaf of the state, as the previous call left it. */
  | { readonly kind: "before"; readonly leaf: number }
  /** The result of the steps so far. */
  | { readonly kind: "soFar" }
  /** Made from the state in an unknown way: usable only if a layer promises what it is. */
  | ({ readonly kind: "carried" } & Origin)
  | ({ readonly kind: "mixed" } & Origin);

/** Where a value came to depend on other steps, or on other rows. */
export interface Origin {
  readonly operation: string;
  readonly place: string | undefined;
}

/** The promise of a custom layer: outputs made from these inputs are the same for chunks as for the whole. */
const promises = new WeakMap<Value, readonly Value[]>();

/**
 * Declares that these outputs, as far as they depend on the state, are the same for chunks as for the whole
 * sequence. Has no effect outside a trace.
 */
export function promiseSteps(outputs: readonly Tensor[], inputs: readonly Tensor[]): void {
  const values = inputs.filter(isTraced).map(valueOf);
  for (const output of outputs) if (isTraced(output)) promises.set(valueOf(output), values);
}

/** A function `(fixed, state, input) => [output, state]` as a Program, whose outputs end with the next state. */
export function traceStep<Fixed, State, Input, Output>(
  fn: (fixed: Fixed, state: State, input: Input) => readonly [Output, State],
  [fixed, state, input]: readonly [Fixed, State, Input],
) {
  const [constants, states, inputs] = [fixed, state, input].map((tree) => flattenTree<Spec>(tree));
  const leaves = [...constants.leaves, ...states.leaves, ...inputs.leaves];
  const { program, result: paths } = traceFlat(leaves.map(specOf), (tensors) => {
    const part = <T>({ structure, leaves }: typeof states, from: number): T =>
      unflattenTree<T>(structure, tensors.slice(from, from + leaves.length));
    const [output, next] = fn(
      part<Fixed>(constants, 0),
      part<State>(states, constants.leaves.length),
      part<Input>(inputs, constants.leaves.length + states.leaves.length),
    );
    const outputs = flattenTree<Tensor>(output, "output");
    return { outputs: [...outputs.leaves, ...flattenTree<Tensor>(next).leaves], result: outputs.paths };
  });
  return { program, paths, constants: constants.leaves.length, states: states.leaves.length };
}

/**
 * The first output that differs between chunks and the whole sequence; undefined if there is none. An output
 * without a time axis may be the result of all steps so far.
 *
 * @param fn `(fixed, state, input) => [output, state]`, pure.
 * @param input Specs, with `time` as axis 1 of sequences.
 */
export function unstreamable<Fixed, State, Input, Output>(
  fn: (fixed: Fixed, state: State, input: Input) => readonly [Output, State],
  [fixed, state, input]: readonly [Fixed, State, Input],
  time: Dim,
): Unstreamable | undefined {
  const { program, paths, constants, states } = traceStep(fn, [fixed, state, input]);
  const nextStates = program.outputs.slice(paths.length);
  const kinds = new Map<Value, Kind>();
  program.inputs.forEach((value, index) => {
    const leaf = index - constants;
    const isState = leaf >= 0 && leaf < states;
    kinds.set(value, isState ? stateKind(value, leaf, nextStates) : sequenceOrFixed(value, time));
  });
  const read = readerOf(nextStates, kinds, time);
  for (const equation of program.equations) read(equation);
  for (const [index, path] of paths.entries()) {
    const value = program.outputs[index];
    const kind = kinds.get(value) ?? { kind: "fixed" };
    if (kind.kind === "mixed" || kind.kind === "carried") return { ...kind, path };
    if (kind.kind === "before") return { operation: "state", place: undefined, path };
    const place = kind.kind === "steps" ? placeOf(kind.followed, TIME) : undefined;
    if (place && !(isWhole(place) && place.axis === 1)) {
      const equation = program.equations.findLast(({ outputs }) => outputs.includes(value));
      return { operation: undefined, place: equation && placeOfEquation(equation), path };
    }
  }
  return undefined;
}

/** A part of the state that no call changes is as fixed as parameters. */
function stateKind(value: Value, leaf: number, next: readonly Value[]): Kind {
  return next[leaf] === value ? { kind: "fixed" } : { kind: "before", leaf };
}

function sequenceOrFixed({ shape }: Value, time: Dim): Kind {
  if (shape[1] !== time) return { kind: "fixed" };
  return {
    kind: "steps",
    followed: { places: [wholePlace(TIME, 1, time)], mask: undefined, mixedBy: undefined },
  };
}

/** Records the kinds of an equation's outputs. */
function readerOf(
  nextStates: readonly Value[],
  kinds: Map<Value, Kind>,
  time: Dim,
): (equation: Equation) => void {
  return (equation) => {
    const { operation: { name }, attributes, outputs } = equation;
    const inputs = equation.inputs.map((value): Kind => kinds.get(value) ?? { kind: "fixed" });
    const origin: Origin = { operation: name, place: placeOfEquation(equation) };
    const mixed: Kind = { kind: "mixed", ...origin };
    const note = (kind: (value: Value, index: number) => Kind) =>
      outputs.forEach((value, index) => kinds.set(value, asPromised(value, kind(value, index))));
    const [first] = inputs;
    const isState = inputs.some(({ kind }) => kind === "before");
    const carried = inputs.find(({ kind }) => kind === "carried") ??
      (isState && { kind: "carried", ...origin });
    const broken = inputs.find(({ kind }) => kind === "mixed");
    if (name === "stopGradient" && first.kind === "before") return note(() => first);
    if (name === "scan" && mentions({ dim: (attributes as Attributes["scan"]).length }, time)) {
      const scan = attributes as Attributes["scan"];
      if (!goesOn(scan, equation, inputs, nextStates, time)) return note(() => broken ?? (carried || mixed));
      return note(({ shape }, index): Kind =>
        index < scan.carries ? { kind: "soFar" } : {
          kind: "steps",
          followed: {
            places: [wholePlace(TIME, timeAxis(shape.length), time)],
            mask: undefined,
            mixedBy: undefined,
          },
        }
      );
    }
    if (broken) return note(() => broken); // the first cause is the one to name
    if (carried) return note(() => carried);
    if (inputs.some(({ kind }) => kind === "soFar")) {
      const spreads = outputs.some(({ shape }) => shape.some((dim) => mentions({ dim }, time)));
      return note(() => spreads || inputs.some(({ kind }) => kind === "steps") ? mixed : { kind: "soFar" });
    }
    if (
      name === "slice" && first.kind === "steps" &&
      isLastStep(first.followed, attributes as Attributes["slice"], time)
    ) {
      return note(() => ({ kind: "soFar" }));
    }
    const states = inputs.map((kind) => kind.kind === "steps" ? kind.followed : undefined);
    const followed = followEquation(equation, states, time);
    note((_, index) => {
      const state = followed[index];
      if (state === undefined) return { kind: "fixed" };
      return state.mixedBy === undefined && placeOf(state, TIME) ? { kind: "steps", followed: state } : mixed;
    });
  };

  function asPromised(value: Value, kind: Kind): Kind {
    const from = promises.get(value)?.map((input): Kind => kinds.get(input) ?? { kind: "fixed" });
    if (kind.kind !== "carried" || from === undefined) return kind;
    const broken = from.find(({ kind }) => kind === "mixed" || kind === "carried");
    if (broken) return broken;
    if (value.shape[1] !== time) return { kind: "soFar" };
    return from.some(({ kind }) => kind === "soFar") ? kind : sequenceOrFixed(value, time);
  }
}

/**
 * Whether a scan starts where the previous call ended and passes its end on, over steps in order of arrival.
 */
function goesOn(
  { reverse, constants, carries, length }: Attributes["scan"],
  equation: Equation,
  inputs: readonly Kind[],
  nextStates: readonly Value[],
  time: Dim,
): boolean {
  return !reverse && length === time &&
    inputs.slice(0, constants).every(({ kind }) => kind === "fixed") &&
    inputs.slice(constants, constants + carries).every((kind, index) =>
      kind.kind === "before" && nextStates[kind.leaf] === equation.outputs[index]
    ) &&
    inputs.slice(constants + carries).every((kind, index) => {
      if (kind.kind !== "steps") return false;
      const place = placeOf(kind.followed, TIME);
      const axis = timeAxis(equation.inputs[constants + carries + index].shape.length);
      return place !== undefined && isWhole(place) && place.axis === axis;
    });
}

/** Whether this is the last step of a sequence: the result of the steps so far. */
function isLastStep(followed: Followed, { start, size, stride }: Attributes["slice"], time: Dim): boolean {
  const place = placeOf(followed, TIME);
  return place !== undefined && isWhole(place) && size[place.axis] === 1 && stride[place.axis] === 1 &&
    start[place.axis] === subtractDims(time, 1);
}
