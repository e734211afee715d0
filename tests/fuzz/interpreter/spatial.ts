/** The layers over spatial axes: convolutions and their transposes, pooling, padding, cropping, and repetition. */
import type { Options } from "../description.ts";
import { activate } from "./activations.ts";
import { convolve, placed, type Window } from "./convolution.ts";
import { ended } from "./counts.ts";
import {
  at,
  fill,
  flat,
  mapVectors,
  nest,
  type Nested,
  plus,
  rounded,
  shapeOf,
  sum,
  vector,
} from "./nested.ts";
import { type Layer, named, only } from "./samples.ts";
import { Value } from "./types.ts";

/** A layer that makes one array of one, without the mask: its steps are others. */
function spatial(
  compute: (x: Nested, options: Options, params: { readonly [name: string]: Nested }) => Nested,
): Layer {
  return ({ options }, params, samples, extras) =>
    samples.map((sample) =>
      new Value(compute(only(sample).x, options, named(params)), ended(sample, extras))
    );
}

const perAxis = (value: unknown, axes: number, otherwise: number): number[] =>
  Array.isArray(value) ? value : new Array(axes).fill(value ?? otherwise);

/** How the window of a layer goes over the input; `causal` is a `valid` one over an input with zeros before it. */
function windowOf({ strides, dilationRate, padding = "valid" }: Options, axes: number): Window {
  return {
    strides: perAxis(strides, axes, 1),
    dilation: perAxis(dilationRate, axes, 1),
    padding: padding === "same" ? "same" : "valid",
  };
}

/** Zeros before and after each spatial axis. */
function padded(x: Nested, sides: readonly (readonly number[])[]): Nested {
  const shape = shapeOf(x);
  const size = shape.map((size, axis) => size + (axis < sides.length ? sides[axis][0] + sides[axis][1] : 0));
  return fill(size, (index) => {
    const place = index.map((i, axis) => i - (axis < sides.length ? sides[axis][0] : 0));
    return place.some((i, axis) => i < 0 || i >= shape[axis]) ? 0 : at(x, place);
  });
}

/** Some of the channels, which are the last axis. */
const channelsOf = (x: Nested, from: number, count: number): Nested =>
  mapVectors(x, (v) => v.slice(from, from + count));

/** The convolution of groups of channels, each with its own part of the filters. */
function inGroups(x: Nested, kernel: Nested, window: Window): Nested {
  const channels = shapeOf(x).at(-1)!, [each, filters] = shapeOf(kernel).slice(-2);
  const groups = channels / each, own = filters / groups;
  const parts = Array.from(
    { length: groups },
    (_, group) => convolve(channelsOf(x, group * each, each), channelsOf(kernel, group * own, own), window),
  );
  const [first, ...rest] = parts;
  return rest.length === 0 ? first : fill([...shapeOf(first).slice(0, -1), filters], (index) => {
    const channel = index[index.length - 1];
    return at(parts[Math.floor(channel / own)], [...index.slice(0, -1), channel % own]);
  });
}

/** `[...window, channels, multiplier]` as a kernel of as many groups as channels. */
function byChannel(kernel: Nested): Nested {
  const shape = shapeOf(kernel);
  const [channels, multiplier] = shape.slice(-2);
  return nest(flat(kernel), [...shape.slice(0, -2), 1, channels * multiplier]);
}

/** What a convolution adds to its sums, and what its activation makes of them. */
function finished(product: Nested, { activation }: Options, bias: Nested | undefined): Nested {
  const moved = bias === undefined ? product : mapVectors(product, (v) => plus(v, vector(bias)));
  return activate(activation, moved);
}

/** The input of a convolution: with `causal`, zeros are before it. */
function inputOf(
  x: Nested,
  options: Options,
  kernel: Nested,
): { readonly x: Nested; readonly window: Window } {
  const axes = shapeOf(x).length - 1;
  const window = windowOf(options, axes);
  if (options.padding !== "causal") return { x, window };
  return { x: padded(x, [[(shapeOf(kernel)[0] - 1) * window.dilation[0], 0]]), window };
}

const conv = spatial((x, options, { kernel, bias }) => {
  const given = inputOf(x, options, kernel);
  return finished(inGroups(given.x, kernel, given.window), options, bias);
});

const depthwise = spatial((x, options, { kernel, bias }) => {
  const given = inputOf(x, options, kernel);
  return finished(inGroups(given.x, byChannel(kernel), given.window), options, bias);
});

const separable = spatial((x, options, { depthwiseKernel, pointwiseKernel, bias }) => {
  const given = inputOf(x, options, depthwiseKernel);
  const own = inGroups(given.x, byChannel(depthwiseKernel), given.window);
  const axes = shapeOf(x).length - 1;
  const mixed = inGroups(own, pointwiseKernel, windowOf({}, axes));
  return finished(mixed, options, bias);
});

/** Every element adds the kernel, multiplied by it, to the result (Dumoulin and Visin, 2016, 4). */
const transposed = spatial((x, options, { kernel, bias }) => {
  const shape = shapeOf(x), space = shape.slice(0, -1), window = shapeOf(kernel).slice(0, -2);
  const { strides, dilation, padding } = windowOf(options, space.length);
  const [filters, channels] = shapeOf(kernel).slice(-2);
  const rest = window.map((size, axis) => Math.max(0, (size - 1) * dilation[axis] + 1 - strides[axis]));
  const before = rest.map((size) => padding === "same" ? Math.floor(size / 2) : 0);
  const out = space.map((size, axis) => size * strides[axis] + (padding === "same" ? 0 : rest[axis]));
  const product = fill([...out, filters], (index) => {
    const terms: number[] = [];
    fill(space, (place) => {
      const offset = place.map((i, axis) =>
        (index[axis] + before[axis] - i * strides[axis]) / dilation[axis]
      );
      if (!offset.every((k, axis) => Number.isInteger(k) && k >= 0 && k < window[axis])) return 0;
      for (let c = 0; c < channels; c++) {
        terms.push(rounded(at(x, [...place, c]) * at(kernel, [...offset, index[space.length], c])));
      }
      return 0;
    });
    return sum(terms);
  });
  return finished(product, options, bias);
});

/** What windows show, of what lies inside of the input. */
function pooling(pool: (values: readonly number[]) => number): Layer {
  return spatial((x, options) => {
    const shape = shapeOf(x), space = shape.slice(0, -1);
    const size = perAxis(options.poolSize, space.length, 2);
    const strides = options.strides === undefined ? size : perAxis(options.strides, space.length, 1);
    const { padding } = windowOf(options, space.length);
    const out = placed(space, size, { strides, dilation: space.map(() => 1), padding });
    return fill([...out.map(({ size }) => size), shape[space.length]], (index) => {
      const values: number[] = [];
      fill(size, (offset) => {
        const place = offset.map((k, axis) => index[axis] * strides[axis] + k - out[axis].before);
        if (place.every((i, axis) => i >= 0 && i < space[axis])) {
          values.push(at(x, [...place, index[space.length]]));
        }
        return 0;
      });
      return pool(values);
    });
  });
}

function globalPooling(pool: (values: readonly number[]) => number): Layer {
  return spatial((x, { keepdims = false }) => {
    const shape = shapeOf(x), space = shape.slice(0, -1), channels = shape[space.length];
    const pooled = Array.from({ length: channels }, (_, channel) => pool(flat(channelsOf(x, channel, 1))));
    return keepdims ? nest(pooled, [...space.map(() => 1), channels]) : pooled;
  });
}

const mean = (values: readonly number[]) => rounded(sum(values) / values.length);
const largest = (values: readonly number[]) => Math.max(...values);

/** Amounts before and after each axis, as the factories take them. */
function sidesOf(given: unknown, axes: number): number[][] {
  const each = axes === 1 && Array.isArray(given) ? [given] : perAxis(given, axes, 1);
  return each.map((sides: number | number[]) => Array.isArray(sides) ? sides : [sides, sides]);
}

const zeroPadding = spatial((x, { padding }) => padded(x, sidesOf(padding, shapeOf(x).length - 1)));

const cropping = spatial((x, { cropping }) =>
  padded(x, sidesOf(cropping, shapeOf(x).length - 1).map((sides) => sides.map((size) => -size)))
);

const upSampling = spatial((x, { size }) => {
  const shape = shapeOf(x);
  const times = [...perAxis(size, shape.length - 1, 2), 1];
  return fill(
    shape.map((size, axis) => size * times[axis]),
    (index) => at(x, index.map((i, axis) => Math.floor(i / times[axis]))),
  );
});

const permute = spatial((x, { dims }) => {
  const order = (dims as readonly number[]).map((axis) => axis - 1); // as the factory takes them
  const shape = shapeOf(x);
  return fill(
    order.map((axis) => shape[axis]),
    (index) => at(x, shape.map((_, axis) => index[order.indexOf(axis)])),
  );
});

const repeatVector = spatial((x, { n }) => Array.from({ length: Number(n) }, () => x));

/** A layer for each number of axes. */
const overAxes = (name: string, layer: Layer, suffix = "", most = 3): { readonly [type: string]: Layer } =>
  Object.fromEntries(
    Array.from({ length: most }, (_, axes) => [`${name}${axes + 1}d${suffix}`, layer]),
  );

/** The layers over spatial axes, by the names of their factories. */
export const spatialLayers: { readonly [type: string]: Layer } = {
  ...overAxes("conv", conv),
  ...overAxes("conv", transposed, "Transpose"),
  ...overAxes("depthwiseConv", depthwise, "", 2),
  ...overAxes("separableConv", separable, "", 2),
  ...overAxes("averagePooling", pooling(mean)),
  ...overAxes("maxPooling", pooling(largest)),
  ...overAxes("globalAveragePooling", globalPooling(mean)),
  ...overAxes("globalMaxPooling", globalPooling(largest)),
  ...overAxes("zeroPadding", zeroPadding),
  ...overAxes("cropping", cropping),
  ...overAxes("upSampling", upSampling),
  permute,
  repeatVector,
};
