/** Random layers over spatial axes, and the kind of what they put out. */
import type { Options } from "./description.ts";
import { drawActivation, drawWindow } from "./generate_cells.ts";
import type { Grown, Scope } from "./generate_layers.ts";
import { type Kind, reshaped } from "./kinds.ts";
import type { Random } from "./random.ts";

/** What a layer makes of `space` and channels. */
interface Made {
  readonly type: string;
  readonly options: Options;
  readonly space: readonly number[];
  readonly channels: number;
}

type Draw = (random: Random, space: readonly number[], channels: number, draws: boolean) => Made | undefined;

function maybe(random: Random, probability: number, options: () => Options): Options {
  return random.chance(probability) ? options() : {};
}

const convOptions = (random: Random): Options => ({
  ...maybe(random, 0.3, () => ({ activation: drawActivation(random) })),
  ...maybe(random, 0.2, () => ({ useBias: false })),
});

/** A window, over one axis now and then one that looks back only. */
function drawConvWindow(random: Random, given: readonly number[]) {
  const { options, space } = drawWindow(random, given);
  if (given.length > 1 || random.chance(0.6)) return { options, space };
  const [stride] = Array.isArray(options.strides) ? options.strides : [1];
  return { options: { ...options, padding: "causal" }, space: [Math.ceil(given[0] / stride)] };
}

const conv: Draw = (random, given, channels) => {
  const { options, space } = drawConvWindow(random, given);
  const groups = channels % 2 === 0 && random.chance(0.4) ? 2 : 1;
  const filters = groups * random.whole(1, 2);
  return {
    type: `conv${given.length}d`,
    options: { filters, ...(groups > 1 ? { groups } : {}), ...options, ...convOptions(random) },
    space,
    channels: filters,
  };
};

const convTranspose: Draw = (random, given) => {
  const { options } = drawWindow(random, given);
  const [strides, dilation] = [options.strides, options.dilationRate].map((value) =>
    Array.isArray(value) ? value as readonly number[] : given.map(() => 1)
  );
  const kernelSize = options.kernelSize as readonly number[]; // one for each axis
  const space = given.map((size, axis) =>
    size * strides[axis] +
    (options.padding === "same"
      ? 0
      : Math.max(0, (kernelSize[axis] - 1) * dilation[axis] + 1 - strides[axis]))
  );
  const filters = random.whole(1, 2);
  return {
    type: `conv${given.length}dTranspose`,
    options: { filters, ...options, ...convOptions(random) },
    space,
    channels: filters,
  };
};

const byChannel: Draw = (random, given, channels) => {
  if (given.length > 2) return;
  const { options, space } = drawConvWindow(random, given);
  const depthMultiplier = random.whole(1, 2);
  const own = { ...(depthMultiplier > 1 ? { depthMultiplier } : {}), ...options, ...convOptions(random) };
  if (random.chance(0.5)) {
    return {
      type: `depthwiseConv${given.length}d`,
      options: own,
      space,
      channels: channels * depthMultiplier,
    };
  }
  const filters = random.whole(1, 2);
  return { type: `separableConv${given.length}d`, options: { filters, ...own }, space, channels: filters };
};

const pooling: Draw = (random, given, channels) => {
  const padding = random.pick(["valid", "same"] as const);
  const poolSize = given.map((size) => random.whole(1, Math.min(size, 2)));
  const strides = random.chance(0.5) ? given.map(() => random.whole(1, 2)) : undefined;
  const space = given.map((size, axis) => {
    const stride = (strides ?? poolSize)[axis];
    return padding === "same" ? Math.ceil(size / stride) : Math.floor((size - poolSize[axis]) / stride) + 1;
  });
  return {
    type: `${random.pick(["max", "average"])}Pooling${given.length}d`,
    options: { poolSize, padding, ...(strides ? { strides } : {}) },
    space,
    channels,
  };
};

const globalPooling: Draw = (random, given, channels) => {
  const options = maybe(random, 0.4, () => ({ keepdims: true }));
  return {
    type: `global${random.pick(["Max", "Average"])}Pooling${given.length}d`,
    options,
    space: options.keepdims ? given.map(() => 1) : [],
    channels,
  };
};

/** Amounts before and after each axis, in one of the forms that factories take. */
function drawSides(random: Random, axes: number, most: readonly number[]): (number | number[])[] {
  return Array.from({ length: axes }, (_, axis) => {
    const low = random.whole(0, most[axis]);
    return random.chance(0.4) ? [low, random.whole(0, most[axis])] : low;
  });
}

const total = (sides: number | number[]) => Array.isArray(sides) ? sides[0] + sides[1] : 2 * sides;

const around: Draw = (random, given, channels) => {
  const axes = given.length;
  const pads = random.chance(0.5);
  const sides = drawSides(random, axes, pads ? given.map(() => 2) : given.map((size) => size > 2 ? 1 : 0));
  return {
    type: `${pads ? "zeroPadding" : "cropping"}${axes}d`,
    options: { [pads ? "padding" : "cropping"]: axes === 1 ? sides[0] : sides },
    space: given.map((size, axis) => size + (pads ? 1 : -1) * total(sides[axis])),
    channels,
  };
};

const upSampling: Draw = (random, given, channels) => {
  const size = given.map(() => random.whole(1, 2));
  return {
    type: `upSampling${given.length}d`,
    options: { size: given.length === 1 ? size[0] : size },
    space: given.map((own, axis) => own * size[axis]),
    channels,
  };
};

const spatialDropout: Draw = (random, given, channels, draws) => ({
  type: `spatialDropout${given.length}d`,
  options: { rate: draws ? random.pick([0, 0.25, 0.5]) : 0 },
  space: given,
  channels,
});

const permute: Draw = (random, given, channels) => {
  const shape = [...given, channels];
  const dims: number[] = [];
  const left = shape.map((_, axis) => axis + 1);
  while (left.length > 0) dims.push(...left.splice(random.whole(0, left.length - 1), 1));
  const sizes = dims.map((axis) => shape[axis - 1]);
  return { type: "permute", options: { dims }, space: sizes.slice(0, -1), channels: sizes[given.length] };
};

const table: readonly (readonly [number, Draw])[] = [
  [4, conv],
  [2, convTranspose],
  [3, byChannel],
  [3, pooling],
  [1, globalPooling],
  [2, around],
  [1, upSampling],
  [1, spatialDropout],
  [1, permute],
];

/**
 * A layer over the axes before the channels. Of a mask it would know nothing, so it is for values without one; steps are an
 * axis like others, and so many as are given.
 */
export function spatial(scope: Scope, kind: Kind): Grown | undefined {
  const { random } = scope;
  const given = kind.shape.slice(0, -1);
  const channels = kind.shape[given.length];
  if (given.length < 1 || given.length > 3 || kind.time > 1 || kind.mask > 0 || kind.wild) return;
  let left = random.next() * table.reduce((sum, [weight]) => sum + weight, 0);
  const [, draw] = table.find(([weight]) => (left -= weight) < 0) ?? table[0];
  const made = draw(random, given, channels, scope.draws);
  if (made === undefined) return;
  if (kind.time > 0) scope.fixed = true;
  const { type, options, space } = made;
  const trainable = maybe(random, 0.12, () => ({ trainable: false }));
  const time = kind.time > 0 && space.length > 0 ? 1 : 0;
  return {
    layer: { type, options: { ...options, ...trainable } },
    kind: {
      ...reshaped(kind, [...space, made.channels]),
      time,
      ...(time > 0 ? { made: true } : {}),
      clean: kind.time === 0 && kind.clean,
    },
  };
}

/** A vector as a sequence of itself. */
export function repeatVector({ random }: Scope, kind: Kind): Grown | undefined {
  if (kind.time > 0 || kind.shape.length !== 1 || kind.wild) return;
  const n = random.whole(1, 3);
  return {
    layer: { type: "repeatVector", options: { n } },
    kind: { ...reshaped(kind, [n, kind.shape[0]]), time: 1, made: true },
  };
}
