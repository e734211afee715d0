/** Random layers for values of a kind, and the kind of what they put out. */
import type { LayerDescription, Options } from "./description.ts";
import {
  drawActivation,
  drawAnyCell,
  drawCell,
  drawConvolution,
  drawFlags,
  outputSize,
} from "./generate_cells.ts";
import { repeatVector, spatial } from "./generate_spatial.ts";
import { folded, type Kind, reshaped, sequenceKind, stepKind } from "./kinds.ts";
import type { Random } from "./random.ts";

/** What the models of one case may do. */
export interface Scope {
  readonly random: Random;
  /** Whether layers may draw random numbers in training. */
  readonly draws: boolean;
  /** The batch where layers may be stateful; null where they may not. */
  readonly batch: number | null;
  /** Set where a layer takes the number of steps as fixed. */
  fixed: boolean;
}

/** A layer, and what it makes of the kind it was drawn for. */
export interface Grown {
  readonly layer: LayerDescription;
  readonly kind: Kind;
}

type Grow = (scope: Scope, kind: Kind, depth: number) => Grown | undefined;

const frozen = (random: Random): Options => random.chance(0.12) ? { trainable: false } : {};

const elementwise = (layer: LayerDescription, kind: Kind, range?: Kind["range"]): Grown => ({
  layer,
  kind: reshaped(kind, kind.shape, range),
});

const last = (kind: Kind) => kind.shape[kind.shape.length - 1];
const rangeOf = (activation: unknown): Kind["range"] =>
  activation === "softmax" || activation === "sigmoid" ? activation : undefined;

const dense: Grow = (scope, kind) => {
  const { random } = scope;
  if (kind.shape.length <= kind.time) return;
  const units = random.whole(1, 4);
  const activation = random.chance(0.5) ? drawActivation(random) : undefined;
  return {
    layer: {
      type: "dense",
      options: {
        units,
        ...(activation ? { activation } : {}),
        ...(random.chance(0.2) ? { useBias: false } : {}),
        ...frozen(random),
      },
    },
    kind: reshaped(kind, [...kind.shape.slice(0, -1), units], rangeOf(activation)),
  };
};

const activation: Grow = ({ random }, kind) => {
  if (kind.shape.length <= kind.time) return;
  if (last(kind) % 2 === 0 && random.chance(0.1)) {
    return {
      layer: { type: "activation", options: { activation: "glu" } },
      kind: reshaped(kind, [...kind.shape.slice(0, -1), last(kind) / 2]),
    };
  }
  const name = drawActivation(random);
  return elementwise({ type: "activation", options: { activation: name } }, kind, rangeOf(name));
};

const dropout: Grow = ({ random, draws }, kind) => {
  const rate = draws ? random.pick([0, 0.25, 0.5]) : 0;
  const noise = draws && random.chance(0.2);
  const noiseShape = [
    null,
    ...kind.shape.map((_, axis) => axis < kind.time && random.chance(0.5) ? 1 : null),
  ];
  return elementwise(
    { type: "dropout", options: { rate, ...(noise ? { noiseShape } : {}) } },
    kind,
    kind.range,
  );
};

/** Layers with a choice of options that work on each value by itself. */
const plain: Grow = ({ random, draws }, kind) => {
  if (kind.shape.length <= kind.time) return;
  const axes = kind.shape.map((_, axis) => axis + 1);
  const { type, ...options } = random.pick<() => Options>([
    () => ({ type: "eluLayer", ...(random.chance(0.5) ? { alpha: 0.5 } : {}) }),
    () => ({ type: "leakyReluLayer", ...(random.chance(0.5) ? { negativeSlope: 0.125 } : {}) }),
    () => ({
      type: "reluLayer",
      ...(random.chance(0.5) ? { maxValue: 0.75 } : {}),
      ...(random.chance(0.5) ? { negativeSlope: 0.25 } : {}),
      ...(random.chance(0.3) ? { threshold: 0.125 } : {}),
    }),
    () => ({ type: "softmaxLayer" }),
    () => ({
      type: "unitNormalization",
      // Over steps, what does not count would count.
      ...(kind.time === 0 && axes.length > 1 && random.chance(0.5)
        ? { axis: random.pick<number | number[]>([1, -2, axes]) }
        : {}),
    }),
    () => ({ type: "gaussianNoise", stddev: draws ? random.pick([0, 0.25]) : 0 }),
    () => ({ type: "activityRegularization", ...(random.chance(0.3) ? { l1: 0.25 } : {}), l2: 0.125 }),
    // Sizes that are open have one slope.
    () => ({
      type: "prelu",
      sharedAxes: axes.filter((axis) => axis <= kind.time || random.chance(0.3)),
      ...frozen(random),
    }),
  ])();
  return elementwise({ type: String(type), options }, kind);
};

const normalizationOptions = (random: Random): Options => ({
  ...(random.chance(0.2) ? { center: false } : {}),
  ...(random.chance(0.2) ? { scale: false } : {}),
  ...(random.chance(0.3) ? { epsilon: 0.0625 } : {}),
  ...frozen(random),
});

const layerNormalization: Grow = (scope, kind) => {
  const { random } = scope;
  if (kind.shape.length <= kind.time) return;
  const spatial = kind.shape.length - kind.time >= 2 && random.chance(0.5);
  const axis = spatial ? random.pick<number | readonly number[]>([[-2, -1], -2]) : undefined;
  const options = { ...(axis === undefined ? {} : { axis }), ...normalizationOptions(random) };
  return elementwise({ type: "layerNormalization", options }, kind);
};

const normalization: Grow = ({ random }, kind) => {
  if (kind.shape.length <= kind.time) return;
  const options = {
    mean: random.pick([0, 0.5, -2]),
    variance: random.pick([1, 0.25, 4]),
    ...(random.chance(0.3) ? { invert: true } : {}),
    ...frozen(random),
  };
  return elementwise({ type: "normalization", options }, kind);
};

const batchNormalization: Grow = ({ random }, kind) => {
  if (kind.shape.length <= kind.time) return;
  const options = {
    ...(random.chance(0.3) ? { momentum: 0.5 } : {}),
    ...(kind.shape.length - kind.time >= 2 && random.chance(0.3) ? { axis: -2 } : {}),
    ...normalizationOptions(random),
  };
  return elementwise({ type: "batchNormalization", options }, kind);
};

const masking: Grow = ({ random }, kind): Grown | undefined => {
  if (kind.time === 0 || kind.shape.length !== kind.time + 1) return;
  const maskValue = random.pick([0, 0, 1, -0.5]);
  return {
    layer: { type: "masking", options: maskValue === 0 ? {} : { maskValue } },
    // What it masks is no padding: after layers with biases padding is any number.
    kind: { ...reshaped(kind, kind.shape), mask: kind.time, clean: false },
  };
};

const embedding: Grow = ({ random }, kind) => {
  const outputDim = random.whole(1, 3);
  const maskZero = random.chance(0.7);
  return {
    layer: {
      type: "embedding",
      options: { inputDim: 5, outputDim, ...(maskZero ? { maskZero } : {}), ...frozen(random) },
    },
    kind: {
      ...reshaped(kind, [...kind.shape, outputDim]),
      mask: maskZero ? kind.time : 0,
    },
  };
};

/** How many leading axes of a shape have as many places as the mask, which stays theirs. */
function maskAfter({ mask, shape: before }: Kind, shape: readonly number[]): Kind["mask"] {
  if (mask === 0) return 0;
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  const places = product(before.slice(0, mask));
  const last = shape.findIndex((_, axis) => product(shape.slice(0, axis + 1)) === places);
  return last + 1 as Kind["mask"]; // of two or three axes, the last of which are features
}

/** A kind whose mask tells of its steps. */
function settled(kind: Kind): Kind {
  return kind.mask > kind.time ? { ...kind, time: kind.mask } : kind;
}

/** Layers that make an axis of axes: those of the steps too, whose number is then fixed. */
const rearranging: Grow = (scope, kind): Grown | undefined => {
  const { random } = scope;
  if (kind.wild) return;
  const size = kind.shape.reduce((a, b) => a * b, 1);
  const kinds = (shape: readonly number[], time: 0 | 1): Kind => ({
    ...reshaped(
      kind,
      shape,
      kind.range === "sigmoid" || shape.at(-1) === last(kind) ? kind.range : undefined,
    ),
    time,
    mask: maskAfter(kind, shape),
    wild: false,
    clean: kind.time === 0 && kind.clean,
  });
  if (kind.time > 0) scope.fixed = true;
  if (random.chance(0.5)) {
    return { layer: { type: "flatten", options: {} }, kind: { ...kinds([size], 0), mask: 0 } };
  }
  // The last axis stays, the others become one or two.
  const rest = size / last(kind);
  const rows = [1, 2, 3].filter((rows) => rest % rows === 0);
  const targetShape = random.chance(0.5) || rest === 0
    ? [rest, last(kind)]
    : [random.pick(rows), -1, last(kind)];
  const shape = targetShape.map((size) => size === -1 ? rest / targetShape[0] : size);
  const result = settled(kinds(shape, shape.length === 2 ? 1 : 0));
  return {
    layer: { type: "reshapeLayer", options: { targetShape } },
    kind: kind.time === 0 && result.time > 0 ? { ...result, made: true } : result,
  };
};

/** A recurrent layer around a vector cell, as a factory of its own or `rnn`. */
function recurrentLayer(
  scope: Scope,
  sequences: boolean,
): { readonly layer: LayerDescription; readonly units: number } {
  const { random, draws } = scope;
  const flags = {
    ...drawFlags(random, sequences),
    ...frozen(random),
    ...(scope.batch !== null && random.chance(0.7) ? { stateful: true } : {}),
  };
  if (random.chance(0.3)) {
    const cell = drawAnyCell(random, draws);
    return { layer: { type: "rnn", options: flags, cell }, units: outputSize(cell) };
  }
  const cell = drawCell(random, draws);
  const type = cell.type.replace("Cell", "");
  return { layer: { type, options: { ...cell.options, ...flags } }, units: outputSize(cell) };
}

const recurrent: Grow = (scope, kind) => {
  if (kind.time !== 1 || kind.shape.length !== 2) return;
  const sequences = scope.random.chance(0.6);
  const { layer, units } = recurrentLayer(scope, sequences);
  return { layer, kind: folded(kind, [units], sequences) };
};

const bidirectional: Grow = (scope, kind) => {
  if (kind.time !== 1 || kind.shape.length !== 2 || scope.batch !== null) return;
  const { random } = scope;
  const sequences = random.chance(0.6);
  const { layer, units } = recurrentLayer(scope, sequences);
  const mergeMode = random.pick(["concat", "concat", "sum", "mul", "ave"]);
  const options = { ...(mergeMode === "concat" ? {} : { mergeMode }), ...frozen(random) };
  let backward: LayerDescription | undefined;
  if (random.chance(0.3)) {
    const other = drawCell(random, scope.draws, "gruCell");
    backward = {
      type: "gru",
      options: {
        ...other.options,
        units,
        goBackwards: !layer.options.goBackwards,
        ...(sequences ? { returnSequences: true } : {}),
      },
    };
  }
  return {
    layer: { type: "bidirectional", options, inner: layer, ...(backward ? { backward } : {}) },
    kind: folded(kind, [mergeMode === "concat" ? 2 * units : units], sequences),
  };
};

const convLstm: Grow = (scope, kind) => {
  const axes = kind.shape.length - 2;
  if (kind.time !== 1 || axes < 1 || axes > 3) return;
  const { random } = scope;
  const { options, space } = drawConvolution(random, kind.shape.slice(1, -1));
  const sequences = random.chance(0.6);
  return {
    layer: {
      type: `convLstm${axes}d`,
      options: { ...options, ...drawFlags(random, sequences), ...frozen(random) },
    },
    kind: folded(kind, [...space, Number(options.filters)], sequences),
  };
};

const timeDistributed: Grow = (scope, kind, depth) => {
  if (kind.time === 0 || kind.shape.length < 2 || depth === 0) return;
  const { random } = scope;
  const inside = stepKind(kind);
  // The rows of a layer inside are steps: no carry of theirs could go on from call to call.
  const own: Scope = { ...scope, batch: null };
  const inner = random.chance(0.5)
    ? growOne(own, inside, depth - 1)
    : growSequential(own, inside, depth - 1, random.whole(1, 2));
  scope.fixed ||= own.fixed;
  if (!inner) return;
  return {
    layer: { type: "timeDistributed", options: frozen(random), inner: inner.layer },
    kind: sequenceKind(kind, inner.kind),
  };
};

const nested: Grow = (scope, kind, depth) =>
  depth === 0 ? undefined : growSequential(scope, kind, depth - 1, scope.random.whole(1, 2));

/** How often each is tried. */
const weighted: readonly (readonly [number, Grow])[] = [
  [3, dense],
  [1, activation],
  [1, dropout],
  [1, layerNormalization],
  [0.7, normalization],
  [1.5, plain],
  [4, spatial],
  [0.5, repeatVector],
  [1.5, batchNormalization],
  [0.7, masking],
  [0.6, rearranging],
  [6, recurrent],
  [3, bidirectional],
  [4, convLstm],
  [3, timeDistributed],
  [1, nested],
];

const ofTokens: readonly (readonly [number, Grow])[] = [[4, embedding], [1, timeDistributed], [0.5, nested]];

/** One layer that takes values of this kind. */
export function growOne(scope: Scope, kind: Kind, depth: number): Grown | undefined {
  const { random } = scope;
  const table = kind.dtype === "int32" ? ofTokens : weighted;
  const total = table.reduce((sum, [weight]) => sum + weight, 0);
  for (let tries = 0; tries < 20; tries++) {
    let left = random.next() * total;
    const [, grow] = table.find(([weight]) => (left -= weight) < 0) ?? table[0];
    const grown = grow(scope, kind, depth);
    if (!grown) continue;
    if (grown.kind.shape.some((size) => size < 1 || size > 24)) continue;
    const { layer } = grown;
    const own = layer.options.trainable === false && random.chance(0.4);
    if (!own || layer.type === "batchNormalization") return grown;
    // Frozen another way: the finished layer with one member changed.
    const { trainable: _, ...options } = layer.options;
    return { ...grown, layer: { ...layer, options, spread: { trainable: false } } };
  }
}

/** Layers one after another. */
export function growSequential(scope: Scope, kind: Kind, depth: number, count: number): Grown | undefined {
  const layers: LayerDescription[] = [];
  let current = kind;
  for (let i = 0; i < count; i++) {
    const grown = growOne(scope, current, depth);
    if (!grown) break;
    layers.push(grown.layer);
    current = grown.kind;
  }
  if (layers.length === 0) return;
  return { layer: { type: "sequential", options: frozen(scope.random), layers }, kind: current };
}
