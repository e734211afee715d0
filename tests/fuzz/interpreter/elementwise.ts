/** Activations with options or weights of their own, and layers that only disturb or penalize what passes. */
import type { Options } from "../description.ts";
import { activate } from "./activations.ts";
import { at, fill, mapNested, type Nested, rounded, shapeOf } from "./nested.ts";
import { type Layer, named, only } from "./samples.ts";
import { Value } from "./types.ts";

function elementwise(fn: (x: number, options: Options) => number): Layer {
  return ({ options }, _, samples) =>
    samples.map(only).map(({ x, counts }) => new Value(mapNested((x) => fn(x, options), x), counts));
}

const eluLayer = elementwise((x, { alpha = 1 }) => x >= 0 ? x : rounded(Number(alpha) * Math.expm1(x)));

const leakyReluLayer = elementwise((x, { negativeSlope = 0.3 }) =>
  x > 0 ? x : rounded(Number(negativeSlope) * x)
);

const reluLayer = elementwise((x, { maxValue = null, negativeSlope = 0, threshold = 0 }) => {
  const [slope, from] = [Number(negativeSlope), Number(threshold)];
  const value = x > from ? x : slope === 0 ? 0 : rounded(slope * rounded(x - from));
  return maxValue === null ? value : Math.min(Number(maxValue), value);
});

/** Over the last axis, of which a mask says nothing; but with one, losses do not see what it was made of. */
const softmaxLayer: Layer = (_, __, samples) =>
  samples.map(only).map(({ x, counts }) =>
    new Value(activate("softmax", x), counts, counts === undefined ? { kind: "softmax", x } : undefined)
  );

/** Divided by the length over axes, which are counted with the batch. */
const unitNormalization: Layer = ({ options: { axis = -1 } }, _, samples) =>
  samples.map(only).map(({ x, counts }) => {
    const shape = shapeOf(x);
    const axes = [axis].flat().map((axis) =>
      Number(axis) < 0 ? Number(axis) + shape.length : Number(axis) - 1
    );
    /** The place with 0 along these axes. */
    const groupOf = (index: readonly number[]) => index.map((i, axis) => axes.includes(axis) ? 0 : i).join();
    const squares = new Map<string, number>();
    fill(shape, (index) => {
      const group = groupOf(index);
      squares.set(group, rounded((squares.get(group) ?? 0) + rounded(at(x, index) ** 2)));
      return 0;
    });
    const value = (index: readonly number[]) => {
      const square = Math.max(squares.get(groupOf(index)) ?? 0, 1e-24);
      return rounded(at(x, index) / rounded(Math.sqrt(square)));
    };
    return new Value(fill(shape, value), counts);
  });

const prelu: Layer = (_, params, samples) => {
  const { alpha } = named(params);
  const shape = shapeOf(alpha);
  return samples.map(only).map(({ x, counts }) => {
    const slopeAt = (index: readonly number[]) =>
      at(alpha, index.map((i, axis) => shape[axis] === 1 ? 0 : i));
    const value = (index: readonly number[]) => {
      const own = at(x, index);
      return own >= 0 ? own : rounded(own * slopeAt(index));
    };
    return new Value(fill(shapeOf(x), value) as Nested, counts);
  });
};

/** Noise acts in training only, where the interpreter is not asked about layers that draw. */
const undisturbed = (strength: string): Layer => ({ options }, _, samples, __, run) => {
  if (run.training && Number(options[strength]) > 0) {
    throw new RangeError("the interpreter draws no random numbers");
  }
  return samples.map(only).map(({ x, counts }) => new Value(x, counts));
};

/** What it adds to the loss is counted where the penalties of all outputs are. */
const activityRegularization: Layer = (_, __, samples) => [...samples];

/** These layers, by the names of their factories. */
export const elementwiseLayers: { readonly [type: string]: Layer } = {
  activityRegularization,
  eluLayer,
  gaussianNoise: undisturbed("stddev"),
  leakyReluLayer,
  prelu,
  reluLayer,
  softmaxLayer,
  unitNormalization,
  ...Object.fromEntries([1, 2, 3].map((axes) => [`spatialDropout${axes}d`, undisturbed("rate")])),
};
