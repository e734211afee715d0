/**
 * Every layer for a batch of samples, each by itself (but for the statistics of batch normalization), walking over
 * the steps that count as if the others were not there.
 */
import type { GraphDescription, LayerDescription, Options, RefTree } from "../description.ts";
import { graphFunctions } from "../graph_functions.ts";
import { activate } from "./activations.ts";
import { cellSteps, normalized } from "./cells.ts";
import { joinedLogits, logitsBehind, oneAfterAnother, stackedLogits } from "./logits.ts";
import {
  at,
  type Counts,
  fill,
  flat,
  isNested,
  joined,
  list,
  mapArrays,
  mapNested,
  mapVectors,
  matrix,
  nest,
  type Nested,
  type NestedTree,
  plus,
  rounded,
  shapeOf,
  sum,
  times,
  vector,
  zerosLike,
} from "./nested.ts";
import { Skipped } from "../skipped.ts";
import { type CellSteps, type Logits, type Params, Value } from "./types.ts";

/** The tree that one sample has at one place. */
export type Sample = Value | readonly Sample[] | { readonly [name: string]: Sample };

/** What a run of a model knows and keeps. */
export interface Run {
  readonly training: boolean;
  /** Carries of stateful layers and moving statistics, by the layer's path; changed by the run. */
  readonly state: Map<string, unknown>;
}

/** What a call of a layer is given beside its input. */
interface Extras {
  /** Per sample. */
  readonly initialState?: readonly NestedTree[];
  /** Whether the samples are steps of something: a step counts as long as anything in it did. */
  readonly rows?: boolean;
  readonly frozen: boolean;
}

type Layer = (
  description: LayerDescription,
  params: Params,
  samples: readonly Sample[],
  extras: Extras,
  run: Run,
  path: string,
) => Sample[];

/** The one value of a sample whose tree is a single leaf. */
export function only(sample: Sample): Value {
  if (sample instanceof Value) return sample;
  throw new TypeError("expected one value, got a tree");
}

export function leavesOf(sample: Sample): Value[] {
  if (sample instanceof Value) return [sample];
  if (Array.isArray(sample)) return sample.flatMap(leavesOf);
  return Object.keys(sample).sort().flatMap((key) => leavesOf((sample as { [key: string]: Sample })[key]));
}

/** What a tree has at a step, or anything else made of its values. */
function arraysOf(sample: Sample, fn: (value: Value) => Nested): NestedTree {
  if (sample instanceof Value) return fn(sample);
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, arraysOf(part, fn)]));
}

/** A tree of arrays as values; only a single array has logits. */
function valuesOf(tree: NestedTree, counts?: Counts, logits?: Logits): Sample {
  if (isNested(tree)) return new Value(tree, counts, logits);
  const names = Object.keys(tree);
  if (names.every((name) => /^\d+$/.test(name))) return names.map((name) => valuesOf(tree[name], counts));
  return Object.fromEntries(names.map((name) => [name, valuesOf(tree[name], counts)]));
}

const inner = (description: LayerDescription) => {
  if (description.inner) return description.inner;
  throw new TypeError(`${description.type} has no layer inside`);
};
const named = (params: Params) => params as { readonly [name: string]: Nested }; // a plain layer's parameters

/** A layer that works on each value by itself and hands its mask on. */
function elementwise(
  fn: (x: Nested, options: Options, params: Params, counts: Counts | undefined) => Value,
): Layer {
  return ({ options }, params, samples) =>
    samples.map((sample) => {
      const { x, counts } = only(sample);
      const result = fn(x, options, params, counts);
      return new Value(result.x, counts, result.logits);
    });
}

/** The activation of that name, and what it was made from. */
function activated(name: unknown, x: Nested): Value {
  return new Value(activate(name, x), undefined, logitsBehind(name, x));
}

const dense = elementwise((x, { activation }, params) => {
  const { kernel, bias } = named(params);
  const z = mapVectors(x, (v) => {
    const product = times(v, matrix(kernel));
    return bias === undefined ? product : plus(product, vector(bias));
  });
  return activated(activation, z);
});

const activation: Layer = ({ options: { activation } }, _, samples) =>
  samples.map((sample) => {
    const { x, counts, logits } = only(sample);
    const result = activated(activation, x);
    return new Value(result.x, counts, activation === "linear" ? logits : result.logits);
  });

/** Axes that are counted with the batch, as axes of a sample. */
function ofSample(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis - 1;
}

/** The statistics are over what counts, where a mask speaks of an axis that is normalized over. */
const layerNormalization = elementwise((x, { axis = -1, epsilon = 1e-3 }, params, counts) => {
  const shape = shapeOf(x);
  const axes = (typeof axis === "number" ? [axis] : axis as readonly number[])
    .map((axis) => ofSample(axis, shape.length)).sort();
  const others = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const inGroup = axes.map((axis) => shape[axis]);
  const { gamma, beta } = named(params);
  const place = (group: readonly number[], within: readonly number[]) => {
    const index = new Array<number>(shape.length);
    others.forEach((axis, i) => index[axis] = group[i]);
    axes.forEach((axis, i) => index[axis] = within[i]);
    return index;
  };
  const results = new Map<string, Nested>();
  return new Value(fill(shape, (index) => {
    const group = others.map((axis) => index[axis]);
    const key = group.join();
    let normal = results.get(key);
    if (normal === undefined) {
      const values: number[] = [];
      const counted: boolean[] = [];
      fill(inGroup, (within) => {
        counted.push(countsAt(counts, place(group, within)));
        return values.push(at(x, place(group, within)));
      });
      normal = nest(normalized(values, Number(epsilon), counted), inGroup);
      results.set(key, normal);
    }
    const within = axes.map((axis) => index[axis]);
    const scaled = gamma === undefined ? at(normal, within) : rounded(at(normal, within) * at(gamma, within));
    return beta === undefined ? scaled : rounded(scaled + at(beta, within));
  }));
});

/** Statistics over what counts (Ioffe and Szegedy, 2015); the moving ones where the layer is not trained. */
const batchNormalization: Layer = ({ options }, params, samples, { frozen }, run, path) => {
  const { axis = -1, momentum = 0.99, epsilon = 1e-3, trainable = true } = options;
  const { gamma, beta } = named(params);
  const values = samples.map(only);
  const shape = shapeOf(values[0].x);
  const along = ofSample(Number(axis), shape.length);
  const state = run.state.get(path) as { movingMean: number[]; movingVariance: number[] }; // set before the run
  const update = run.training && trainable && !frozen;
  let { movingMean: mean, movingVariance: variance } = state;
  if (update) {
    const features: number[][] = Array.from({ length: shape[along] }, () => []);
    values.forEach(({ x, counts }) =>
      fill(shape, (index) => {
        if (countsAt(counts, index)) features[index[along]].push(at(x, index));
        return 0;
      })
    );
    // A batch in which nothing counts has mean and variance 0.
    const meanOf = (xs: readonly number[]) =>
      xs.length === 0 ? 0 : rounded(xs.reduce((a, b) => rounded(a + b), 0) / xs.length);
    mean = features.map(meanOf);
    variance = features.map((xs, i) => meanOf(xs.map((x) => rounded(rounded(x - mean[i]) ** 2))));
    const moved = (before: readonly number[], now: readonly number[]) =>
      // A batch in which nothing counts says nothing.
      before.map((value, i) =>
        features[i].length === 0 ? value : value * Number(momentum) + now[i] * (1 - Number(momentum))
      );
    run.state.set(path, {
      movingMean: moved(state.movingMean, mean),
      movingVariance: moved(state.movingVariance, variance),
    });
  }
  return values.map(({ x, counts }) =>
    new Value(
      fill(shape, (index) => {
        const i = index[along];
        const normal = rounded(
          rounded(at(x, index) - mean[i]) / rounded(Math.sqrt(variance[i] + Number(epsilon))),
        );
        const scaled = gamma === undefined ? normal : rounded(normal * vector(gamma)[i]);
        return beta === undefined ? scaled : rounded(scaled + vector(beta)[i]);
      }),
      counts,
    )
  );
};

/** Whether the place counts: a mask speaks of leading axes. */
export function countsAt(counts: Counts | undefined, index: readonly number[]): boolean {
  let found: Counts = counts ?? true;
  for (const i of index) {
    if (typeof found === "boolean") return found;
    found = found[i];
  }
  if (typeof found === "boolean") return found;
  throw new TypeError("the mask has more axes than the value");
}

const embedding: Layer = ({ options }, params, samples) => {
  const rows = matrix(named(params).embeddings);
  const look = (x: Nested): Nested => typeof x === "number" ? rows[x] : x.map(look);
  const isToken = (x: Nested): Counts => typeof x === "number" ? x !== 0 : x.map(isToken);
  return samples.map((sample) => {
    const { x, counts } = only(sample);
    return new Value(look(x), inBoth(counts, options.maskZero ? isToken(x) : undefined));
  });
};

const masking: Layer = ({ options: { maskValue = 0 } }, _, samples) =>
  samples.map((sample) => {
    const { x, counts } = only(sample);
    const rank = shapeOf(x).length;
    const isStep = (x: Nested, depth: number): Counts =>
      depth === rank - 1
        ? vector(x).some((value) => value !== maskValue)
        : list(x).map((part) => isStep(part, depth + 1));
    return new Value(
      mapVectors(x, (v) => v.some((value) => value !== maskValue) ? v : v.map(() => 0)),
      inBoth(counts, isStep(x, 0)),
    );
  });

/** The mask for another shape, where some of its leading axes have as many places: row-major, they are the same. */
function keptCounts(counts: Counts | undefined, shape: readonly number[]): Counts | undefined {
  if (counts === undefined || typeof counts === "boolean") return counts;
  const places = (counts: Counts): boolean[] =>
    typeof counts === "boolean" ? [counts] : counts.flatMap(places);
  const given = places(counts);
  const rank =
    shape.findIndex((_, axis) => shape.slice(0, axis + 1).reduce((a, b) => a * b, 1) === given.length) + 1;
  if (rank === 0) return undefined;
  const again = (x: Nested): Counts => typeof x === "number" ? x === 1 : x.map(again);
  return again(nest(given.map(Number), shape.slice(0, rank)));
}

function rearranged(
  shapeFor: (x: Nested, options: Options) => readonly number[],
  keepsMask: boolean,
): Layer {
  return ({ options }, _, samples, extras) =>
    samples.map((sample) => {
      const { x, counts, logits } = only(sample);
      const shape = shapeFor(x, options);
      // The classes of a softmax stay together only where the last axis stays.
      const stays = logits?.kind === "sigmoid" || shape.at(-1) === shapeOf(x).at(-1);
      return new Value(
        nest(flat(x), shape),
        (keepsMask ? keptCounts(counts, shape) : undefined) ?? ended(sample, extras),
        logits && stays ? { kind: logits.kind, x: nest(flat(logits.x), shape) } : undefined,
      );
    });
}

const flatten = rearranged((x) => [flat(x).length], false);
const reshapeLayer = rearranged((x, { targetShape }) => {
  const shape = targetShape as readonly number[]; // as the factory takes it
  const known = shape.filter((size) => size !== -1).reduce((a, b) => a * b, 1);
  return shape.map((size) => size === -1 ? flat(x).length / known : size);
}, true);

/** Rates act in training only, where the interpreter is not asked about layers that draw. */
const dropout: Layer = ({ options }, _, samples, __, run) => {
  if (run.training && Number(options.rate) > 0) {
    throw new RangeError("the interpreter draws no random numbers");
  }
  return [...samples];
};

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

/** The mask of all leaves: a step counts where it counts for each of them. */
function countsOfAll(values: readonly Value[]): readonly boolean[] | undefined {
  const given = values.flatMap(({ counts }) => Array.isArray(counts) ? [counts as readonly boolean[]] : []); // over time
  return given.length === 0 ? undefined : given[0].map((_, step) => given.every((counts) => counts[step]));
}

/** Whether the row as a whole counts; undefined where nothing says so. */
function rowCounts(sample: Sample): boolean | undefined {
  const given = leavesOf(sample).flatMap(({ counts }) => typeof counts === "boolean" ? [counts] : []);
  return given.length === 0 ? undefined : given.every((counts) => counts);
}

/** The mask of steps, all of them false in a row that does not count. */
function ofRow(sample: Sample, counts: Counts | undefined): Counts | undefined {
  const row = rowCounts(sample);
  return row === undefined || counts === undefined ? counts ?? row : both(row, counts);
}

/** What is left of a mask where the axis of steps ends. */
function ended(sample: Sample, { rows }: Extras): boolean | undefined {
  const counts = countsOfAll(leavesOf(sample));
  const row = rowCounts(sample);
  if (!rows || counts === undefined) return row;
  return counts.some((counts) => counts) && (row ?? true);
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
function sequences(steps: readonly NestedTree[]): NestedTree {
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
  const carries = description.options.stateful
    ? run.state.get(path) as readonly NestedTree[] | undefined // one for each row
    : undefined;
  const folded = samples.map((sample, row) =>
    fold(cell, params, sample, { ...flags, initial: initialState?.[row] ?? carries?.[row] })
  );
  if (description.options.stateful) run.state.set(path, folded.map(({ state }) => state));
  return folded;
}

const recurrent: Layer = (description, params, samples, extras, run, path) => {
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

type Parts = { readonly [name: string]: NestedTree };

const bidirectional: Layer = (description, params, samples, extras, run, path) => {
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

/** Whether any of the steps counts. */
function anyCounts(counts: Counts): boolean {
  return typeof counts === "boolean" ? counts : counts.some(anyCounts);
}

/** A step counts where it counts in both; the one with fewer axes speaks of all that is within. */
export function both(a: Counts, b: Counts): Counts {
  if (typeof a === "boolean") return a ? b : none(b);
  if (typeof b === "boolean") return b ? a : none(a);
  return a.map((part, i) => both(part, b[i]));
}

/** The same where either may say nothing. */
function inBoth(a: Counts | undefined, b: Counts | undefined): Counts | undefined {
  return a === undefined || b === undefined ? a ?? b : both(a, b);
}

function none(counts: Counts): Counts {
  return typeof counts === "boolean" ? false : counts.map(none);
}

const timeDistributed: Layer = (description, params, samples, extras, run, path) => {
  const layer = inner(description);
  const lengths: number[] = [];
  const rows = samples.flatMap((sample) => {
    const steps = list(leavesOf(sample)[0].x).length;
    lengths.push(steps);
    return Array.from({ length: steps }, (_, step) => ofStep(sample, step));
  });
  const frozen = extras.frozen || description.options.trainable === false;
  const results = runLayer(layer, params, rows, { frozen, rows: true }, run, path); // as the library's state
  let next = 0;
  return samples.map((sample, index) => {
    const own = results.slice(next, next += lengths[index]);
    return steps(own, outerCounts(leavesOf(sample), own.map(leavesOf)));
  });
};

/** What the layer inside gets of a step: what is inside of the step's mask. */
function ofStep(sample: Sample, step: number): Sample {
  if (sample instanceof Value) {
    // A mask begins with the steps, or speaks of the whole sample.
    const counts = Array.isArray(sample.counts) ? sample.counts[step] as Counts : sample.counts;
    const { x, logits } = sample;
    return new Value(list(x)[step], counts, logits && { kind: logits.kind, x: list(logits.x)[step] });
  }
  if (Array.isArray(sample)) return sample.map((part) => ofStep(part, step));
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, ofStep(part, step)]));
}

/**
 * The mask of the steps: that of the input, of which what the layer inside has used up is "any", together with the
 * masks that the layer inside put out.
 */
function outerCounts(inputs: readonly Value[], outputs: readonly (readonly Value[])[]) {
  const steps = outputs.map((_, step) => step);
  const given = inputs.flatMap(({ counts }) => counts === undefined ? [] : [counts]);
  return (leaf: number): Counts | undefined => {
    const own = outputs.map((values) => values[leaf].counts);
    if (given.length === 0 && own.every((counts) => counts === undefined)) return undefined;
    return steps.map((step) => {
      const outer = given.every((counts) => anyCounts(typeof counts === "boolean" ? counts : counts[step]));
      const within = own[step];
      return within === undefined ? outer : both(outer, within);
    });
  };
}

/** The outputs of all steps as sequences. */
function steps(own: readonly Sample[], countsOf: (leaf: number) => Counts | undefined): Sample {
  let leaf = 0;
  const join = (parts: readonly Sample[]): Sample => {
    const [first] = parts;
    if (first instanceof Value) {
      const values = parts as readonly Value[]; // all have one form
      const logits = first.logits && { kind: first.logits.kind, x: values.map(({ logits }) => logits!.x) };
      return new Value(values.map(({ x }) => x), countsOf(leaf++), logits);
    }
    if (Array.isArray(first)) {
      return first.map((_, i) => join(parts.map((part) => (part as readonly Sample[])[i])));
    }
    return Object.fromEntries(
      Object.keys(first).sort().map((name) => [
        name,
        join(parts.map((part) => (part as { readonly [name: string]: Sample })[name])),
      ]),
    );
  };
  return join(own);
}

const sequential: Layer = ({ layers = [], options }, params, samples, { frozen, rows }, run, path) =>
  layers.reduce<Sample[]>(
    (samples, layer, index) =>
      runLayer(
        layer,
        (params as Parts)[index] ?? [], // one for each layer
        samples,
        { frozen: frozen || options.trainable === false, rows },
        run,
        `${path}.${index}`,
      ),
    [...samples],
  );

const model: Layer = ({ layers = [], graph, options }, params, samples, extras, run, path) => {
  if (!graph) throw new TypeError("a model has a graph");
  const frozen = extras.frozen || options.trainable === false;
  const given = leafRefs(graph.inputs);
  /** Per step and sample the leaves that it put out. */
  const values: Value[][][] = [];
  given.forEach((ref, leaf) => {
    values[stepOf(ref)] = samples.map((sample) => [leavesOf(sample)[leaf]]);
  });
  const read = (tree: RefTree, row: number): Sample => {
    if (typeof tree === "string") return values[stepOf(tree)][row][Number(tree.split(".")[1])];
    if (Array.isArray(tree)) return tree.map((part) => read(part, row));
    return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, read(part, row)]));
  };
  const rows = samples.map((_, row) => row);
  graph.steps.forEach((step, index) => {
    if (step.op === "input") return;
    if (step.op === "apply") {
      const { interpreter } = graphFunctions[step.fn];
      values[index] = rows.map((row) => {
        const args = step.inputs.map((ref) => only(read(ref, row)));
        const masks = args.flatMap(({ counts }) => counts === undefined ? [] : [counts]);
        return [
          new Value(
            interpreter(...args.map(({ x }) => x)),
            masks.length === 0 ? undefined : masks.reduce(both),
            step.fn === "beside" ? joinedLogits(args.map(({ logits }) => logits)) : undefined,
          ),
        ];
      });
      return;
    }
    const inputs = rows.map((row) => {
      const sample = read(step.inputs, row);
      return step.mask === undefined ? sample : masked(sample, only(read(step.mask, row)).x);
    });
    const { initialState } = step;
    const results = runLayer(
      layers[step.layer],
      (params as Parts)[step.layer] ?? [], // one for each layer
      inputs,
      {
        frozen,
        rows: extras.rows,
        initialState: initialState === undefined
          ? undefined
          : rows.map((row) => arraysOf(read(initialState, row), ({ x }) => x)),
      },
      run,
      `${path}.${step.layer}`,
    );
    values[index] = results.map(leavesOf);
  });
  return rows.map((row) => read(graph.outputs, row));
};

/** The mask that is given replaces the one that came along. */
function masked(sample: Sample, mask: Nested): Sample {
  const counts = (x: Nested): Counts => typeof x === "number" ? x !== 0 : x.map(counts);
  if (sample instanceof Value) return new Value(sample.x, counts(mask), sample.logits);
  if (Array.isArray(sample)) return sample.map((part) => masked(part, mask));
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, masked(part, mask)]));
}

function stepOf(ref: string): number {
  return Number(ref.split(".")[0]);
}

/** The leaves of a tree, in the library's order: keys sorted. */
export function leafRefs(tree: RefTree): string[] {
  if (typeof tree === "string") return [tree];
  if (Array.isArray(tree)) return tree.flatMap(leafRefs);
  return Object.keys(tree).sort().flatMap((name) =>
    leafRefs((tree as GraphDescription["inputs"] & Named)[name])
  );
}

type Named = { readonly [name: string]: RefTree };

/** Numbers of one place, those of inputs that count there, as one. */
const merging: {
  readonly [method: string]: (all: readonly number[], counting: readonly number[]) => number;
} = {
  add: (all) => sum(all),
  subtract: ([a, b]) => a - b,
  average: (all) => sum(all) / all.length,
  multiply: (_, counting) => counting.reduce((a, b) => rounded(a * b), 1),
  maximum: (all, counting) => counting.length === 0 ? all[0] : Math.max(...counting),
  minimum: (all, counting) => counting.length === 0 ? all[0] : Math.min(...counting),
};

/** A step counts where it counts in any. */
function either(a: Counts, b: Counts): Counts {
  if (typeof a === "boolean") return a ? mapCounts(b, () => true) : b;
  if (typeof b === "boolean") return b ? mapCounts(a, () => true) : a;
  return a.map((part, i) => either(part, b[i]));
}

function mapCounts(counts: Counts, fn: (counts: boolean) => boolean): Counts {
  return typeof counts === "boolean" ? fn(counts) : counts.map((part) => mapCounts(part, fn));
}

const merge: Layer = ({ options: { method, axis = -1, counts = "all" } }, _, samples) =>
  samples.map((sample) => {
    const values = leavesOf(sample);
    const masks = values.flatMap(({ counts }) => counts === undefined ? [] : [counts]);
    const shape = shapeOf(values[0].x);
    if (method === "concatenate" && ofSample(Number(axis), shape.length) === 0 && shape.length > 1) {
      const all = values.map(({ x, counts }): Counts => counts ?? list(x).map(() => true));
      return new Value(
        values.flatMap(({ x }) => list(x)),
        masks.length === 0 ? undefined : all.flatMap((counts) => counts as readonly Counts[]), // over time
        oneAfterAnother(values.map(({ logits }) => logits)),
      );
    }
    const mask = masks.length === 0 || (counts === "any" && masks.length < values.length)
      ? undefined
      : masks.reduce(counts === "any" ? either : both);
    if (method === "concatenate") {
      return new Value(
        values.map(({ x }) => x).reduce(joined),
        mask,
        joinedLogits(values.map(({ logits }) => logits)),
      );
    }
    const masked = masks.length === values.length;
    return new Value(
      fill(shape, (index) => {
        const all = values.map(({ x }) => at(x, index));
        const counting = all.filter((_, i) => countsAt(values[i].counts, index));
        // Where everything is masked a product is 0.
        if (method === "multiply" && masked && counting.length === 0) return 0;
        return rounded(merging[String(method)](all, counting));
      }),
      mask,
    );
  });

const layers: { readonly [type: string]: Layer } = {
  activation,
  batchNormalization,
  bidirectional,
  convLstm1d: recurrent,
  convLstm2d: recurrent,
  convLstm3d: recurrent,
  dense,
  dropout,
  embedding,
  flatten,
  gru: recurrent,
  layerNormalization,
  layerNormLstm: recurrent,
  lstm: recurrent,
  masking,
  merge,
  model,
  reshapeLayer,
  rnn: recurrent,
  sequential,
  simpleRnn: recurrent,
  timeDistributed,
};

/** The layers that the interpreter knows, by the names of their factories. */
export const knownLayers: readonly string[] = Object.keys(layers);

/** What a layer gives for a batch. */
export function runLayer(
  description: LayerDescription,
  params: Params,
  samples: readonly Sample[],
  extras: Extras,
  run: Run,
  path: string,
): Sample[] {
  const { spread } = description;
  const own = spread ? { ...description, options: { ...description.options, ...spread } } : description;
  return layers[own.type](own, params, samples, extras, run, path);
}
