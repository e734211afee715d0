/** The recurrent layers: they walk over the steps that count as if the others were not there. */
import type { LayerDescription } from "../description.ts";
import { cellSteps } from "./cells.ts";
import { joinedLogits, stackedLogits } from "./logits.ts";
import {
  flat,
  isNested,
  joined,
  list,
  mapArrays,
  mapNested,
  type Nested,
  type NestedTree,
  zerosLike,
} from "./nested.ts";
import { Skipped } from "../skipped.ts";
import type { CellSteps, Logits, Params } from "./types.ts";
import {
  arraysOf,
  type Carries,
  type Extras,
  inner,
  type Layer,
  leavesOf,
  type Run,
  type Sample,
  valuesOf,
} from "./samples.ts";
import { countsOfAll, ended, ofRow } from "./counts.ts";

/** What a recurrent layer gave for one sample. */
interface Folded {
  /** In the order of processing. */
  readonly outputs: readonly NestedTree[];
  readonly counts: readonly boolean[] | undefined;
  readonly last: NestedTree;
  /** Those behind each output; a masked step puts out something else, so that a sequence with a mask has none. */
  readonly logits: readonly (Logits | undefined)[];
  readonly state: NestedTree;
}

/** Beyond it float32 cannot go on for many steps: gates of linear activations let states grow like 10^(2^steps). */
const LARGEST_STATE = 1e12;

function checkRange(state: NestedTree): void {
  mapArrays(state, (x) => {
    if (flat(x).some((value) => Math.abs(value) > LARGEST_STATE)) {
      throw new Skipped("a state leaves what float32 has");
    }
    return x;
  });
}

/** A cell over the steps that count, from the first or from the last. */
function fold(
  cell: CellSteps,
  params: Params,
  sample: Sample,
  options: { readonly backwards: boolean; readonly zeros: boolean; readonly initial?: NestedTree },
): Folded {
  const values = leavesOf(sample);
  const steps = list(values[0].x).map((_, step) => step);
  if (options.backwards) steps.reverse();
  const counts = countsOfAll(values);
  const stepOf = (step: number) => arraysOf(sample, ({ x }) => list(x)[step]);
  const nothingIn = mapArrays(stepOf(0), zerosLike);
  let state = options.initial ?? cell.initial(params, nothingIn);
  // The form of an output; its numbers are thrown away.
  const nothing = mapArrays(cell.step(params, state, nothingIn)[0], zerosLike);
  let last = nothing;
  const logits: (Logits | undefined)[] = [];
  const outputs = steps.map((step) => {
    if (counts && !counts[step]) return options.zeros ? nothing : last;
    const [output, next, behind] = cell.step(params, state, stepOf(step));
    checkRange(next);
    [last, state] = [output, next];
    if (!counts) logits.push(behind);
    return last;
  });
  // Of the last step, masked or not: with zeros for masked steps it may be zeros.
  const final = outputs[outputs.length - 1];
  return { outputs, counts: counts && steps.map((step) => counts[step]), last: final, logits, state };
}

/** Trees of steps as a tree of sequences. */
export function sequences(steps: readonly NestedTree[]): NestedTree {
  const [first] = steps;
  if (isNested(first)) return steps as readonly Nested[]; // all have one form
  return Object.fromEntries(
    Object.keys(first).map((name) => [
      name,
      sequences(steps.map((step) => (step as { readonly [name: string]: NestedTree })[name])), // all have one form
    ]),
  );
}

/** The cell that a recurrent layer is around. */
function cellOf({ type, options, cell }: LayerDescription): CellSteps {
  if (cell) return cellSteps(cell);
  return cellSteps({ type: `${type}Cell`, options });
}

/** What a call of the stateful layer at `path` starts from. */
function startOf(run: Run, path: string): Carries {
  const kept = run.state.get(path) as Carries; // only the layer itself writes there
  const carries = run.held ? run.held[run.started.length] : kept;
  run.started.push(carries);
  return carries;
}

/** One direction for every sample: outputs in the order of processing, and states; the carry is kept. */
function direction(
  description: LayerDescription,
  params: Params,
  samples: readonly Sample[],
  flags: { readonly backwards: boolean; readonly zeros: boolean },
  { initialState }: Extras,
  run: Run,
  path: string,
): Folded[] {
  const cell = cellOf(description);
  const carries = description.options.stateful ? startOf(run, path) : undefined;
  const folded = samples.map((sample, row) =>
    fold(cell, params, sample, { ...flags, initial: initialState?.[row] ?? carries?.[row] })
  );
  if (description.options.stateful) run.state.set(path, folded.map(({ state }) => state));
  return folded;
}

export const recurrent: Layer = (description, params, samples, extras, run, path) => {
  const { goBackwards = false, returnSequences = false, returnState = false, zeroOutputForMask = false } =
    description.options;
  const flags = { backwards: Boolean(goBackwards), zeros: Boolean(zeroOutputForMask) };
  return direction(description, params, samples, flags, extras, run, path).map((folded, row) => {
    const output = returnSequences
      ? valuesOf(sequences(folded.outputs), ofRow(samples[row], folded.counts), stackedLogits(folded.logits))
      : valuesOf(folded.last, ended(samples[row], extras), folded.logits.at(-1));
    return returnState ? [output, valuesOf(folded.state)] : output;
  });
};

/** How two numbers become one. */
const merges: { readonly [mode: string]: (a: number, b: number) => number } = {
  sum: (a, b) => a + b,
  mul: (a, b) => a * b,
  ave: (a, b) => (a + b) / 2,
};

function mergeArrays(mode: unknown, a: NestedTree, b: NestedTree): NestedTree {
  if (isNested(a) && isNested(b)) {
    return mode === "concat" ? joined(a, b) : mapNested(merges[String(mode)], a, b);
  }
  return Object.fromEntries(
    Object.keys(a).map((name) => [
      name,
      mergeArrays(mode, (a as Parts)[name], (b as Parts)[name]), // both have one form
    ]),
  );
}

export type Parts = { readonly [name: string]: NestedTree };

export const bidirectional: Layer = (description, params, samples, extras, run, path) => {
  const ahead = inner(description);
  const behind = description.backward ?? {
    ...ahead,
    options: { ...ahead.options, goBackwards: !ahead.options.goBackwards },
  };
  const { returnSequences = false, returnState = false } = ahead.options;
  const { mergeMode = "concat" } = description.options;
  const both = ([[ahead, "forward"], [behind, "backward"]] as const).map(([layer, name], index) =>
    direction(
      layer,
      (params as Parts)[name], // params are those of both
      samples,
      { backwards: Boolean(layer.options.goBackwards), zeros: Boolean(returnSequences) },
      { ...extras, initialState: extras.initialState?.map((pair) => (pair as Parts)[index]) },
      run,
      `${path}.${name}`,
    )
  );
  return samples.map((_, row) => {
    const [forward, backward] = both.map((folded) => folded[row]);
    const counts = returnSequences ? ofRow(samples[row], forward.counts) : ended(samples[row], extras);
    const [a, b] = returnSequences
      // The second speaks of the steps of the first.
      ? [sequences(forward.outputs), sequences([...backward.outputs].reverse())]
      : [forward.last, backward.last];
    const logits = returnSequences
      ? [stackedLogits(forward.logits), stackedLogits([...backward.logits].reverse())]
      : [forward.logits.at(-1), backward.logits.at(-1)];
    const output = mergeMode === null
      ? [valuesOf(a, counts, logits[0]), valuesOf(b, counts, logits[1])]
      : valuesOf(
        mergeArrays(mergeMode, a, b),
        counts,
        mergeMode === "concat" ? joinedLogits(logits) : undefined,
      );
    return returnState ? [output, [valuesOf(forward.state), valuesOf(backward.state)]] : output;
  });
};
