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

/** Over the last axis, of which a mask says nothing. */
const softmaxLayer: Layer = (_, __, samples) =>
  samples.map(only).map(({ x, counts }) => new Value(activate("softmax", x), counts));

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
  ...Object.fromEntries([1, 2, 3].map((axes) => [`spatialDropout${axes}d`, undisturbed("rate")])),
};
