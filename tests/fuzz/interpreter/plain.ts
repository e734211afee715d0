/** The layers without a recurrence. Every sample is computed by itself, but for the statistics of batch normalization. */
import type { Options } from "../description.ts";
import { activate } from "./activations.ts";
import { normalized } from "./cells.ts";
import { joinedLogits, logitsBehind, oneAfterAnother } from "./logits.ts";
import {
  at,
  type Counts,
  fill,
  flat,
  joined,
  list,
  mapVectors,
  matrix,
  nest,
  type Nested,
  plus,
  rounded,
  shapeOf,
  sum,
  times,
  vector,
} from "./nested.ts";
import { type Params, Value } from "./types.ts";
import { type Layer, leavesOf, named, only } from "./samples.ts";
import { both, countsAt, either, ended, inBoth, keptCounts } from "./counts.ts";

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

export const dense = elementwise((x, { activation }, params) => {
  const { kernel, bias } = named(params);
  const z = mapVectors(x, (v) => {
    const product = times(v, matrix(kernel));
    return bias === undefined ? product : plus(product, vector(bias));
  });
  return activated(activation, z);
});

export const activation: Layer = ({ options: { activation } }, _, samples) =>
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
export const layerNormalization = elementwise((x, { axis = -1, epsilon = 1e-3 }, params, counts) => {
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

/** The statistics are given, those of each feature apart. */
export const normalization: Layer = ({ options: { invert = false } }, _, samples, _context, run, path) => {
  const { mean, variance } = run.state.get(path) as { mean: number[]; variance: number[] }; // set before the run
  const deviation = variance.map((value) => Math.max(rounded(Math.sqrt(value)), 1e-7));
  return samples.map(only).map(({ x, counts }) => {
    const shape = shapeOf(x);
    const values = fill(shape, (index) => {
      const value = at(x, index), i = index[shape.length - 1];
      return invert
        ? rounded(rounded(value * deviation[i]) + mean[i])
        : rounded(rounded(value - mean[i]) / deviation[i]);
    });
    return new Value(values, counts);
  });
};

/** Statistics over what counts (Ioffe and Szegedy, 2015); the moving ones where the layer is not trained. */
export const batchNormalization: Layer = ({ options }, params, samples, { frozen }, run, path) => {
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

export const embedding: Layer = ({ options }, params, samples) => {
  const rows = matrix(named(params).embeddings);
  const look = (x: Nested): Nested => typeof x === "number" ? rows[x] : x.map(look);
  const isToken = (x: Nested): Counts => typeof x === "number" ? x !== 0 : x.map(isToken);
  return samples.map((sample) => {
    const { x, counts } = only(sample);
    return new Value(look(x), inBoth(counts, options.maskZero ? isToken(x) : undefined));
  });
};

export const masking: Layer = ({ options: { maskValue = 0 } }, _, samples) =>
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

export const flatten = rearranged((x) => [flat(x).length], false);

export const reshapeLayer = rearranged((x, { targetShape }) => {
  const shape = targetShape as readonly number[]; // as the factory takes it
  const known = shape.filter((size) => size !== -1).reduce((a, b) => a * b, 1);
  return shape.map((size) => size === -1 ? flat(x).length / known : size);
}, true);

/** Rates act in training only, where the interpreter is not asked about layers that draw. */
export const dropout: Layer = ({ options }, _, samples, __, run) => {
  if (run.training && Number(options.rate) > 0) {
    throw new RangeError("the interpreter draws no random numbers");
  }
  return [...samples];
};

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

export const merge: Layer = ({ options: { method, axis = -1, counts = "all" } }, _, samples) =>
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
