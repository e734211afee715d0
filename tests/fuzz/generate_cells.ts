/** Random cells and the options of recurrent layers. */
import type { CellDescription, Options } from "./description.ts";
import type { Random } from "./random.ts";

/** Smooth and bounded, which most draws are, so that derivatives can be compared. */
const calm = ["tanh", "sigmoid", "softsign", "hardSigmoid"] as const;

/** Every activation that keeps the size of the last axis. */
const any = [
  "linear",
  "relu",
  "relu6",
  "leakyRelu",
  "sigmoid",
  "hardSigmoid",
  "hardSigmoidKeras2",
  "hardSilu",
  "hardSwish",
  "tanh",
  "hardTanh",
  "softmax",
  "logSoftmax",
  "elu",
  "selu",
  "celu",
  "gelu",
  "silu",
  "swish",
  "softplus",
  "softsign",
  "mish",
  "logSigmoid",
  "squareplus",
  "softShrink",
  "hardShrink",
  "tanhShrink",
  "sparsePlus",
  "sparseSigmoid",
  "sparsemax",
  "exponential",
] as const;

/** An activation: mostly one that is calm. */
export function drawActivation(random: Random): string {
  return random.chance(0.6) ? random.pick(calm) : random.pick(any);
}

function maybe(random: Random, probability: number, options: () => Options): Options {
  return random.chance(probability) ? options() : {};
}

/** Sizes stay small: what goes wrong goes wrong with 2 units. */
const units = (random: Random) => random.pick([1, 1, 2, 2, 3, 4]);

function common(random: Random, draws: boolean): Options {
  return {
    ...maybe(random, 0.25, () => ({ activation: drawActivation(random) })),
    ...maybe(random, 0.2, () => ({ useBias: false })),
    ...(draws ? maybe(random, 0.3, () => ({ dropout: 0.5 })) : {}),
    ...(draws ? maybe(random, 0.3, () => ({ recurrentDropout: 0.25 })) : {}),
  };
}

/** Options of gated cells. */
function gated(random: Random, draws: boolean): Options {
  return {
    ...common(random, draws),
    ...maybe(random, 0.15, () => ({ recurrentActivation: drawActivation(random) })),
  };
}

const limited = (random: Random) => maybe(random, 0.1, () => ({ clip: random.pick([0.25, 1]) }));

/** Cells over vectors by type: their options. */
const vectorCells: { readonly [type: string]: (random: Random, draws: boolean) => Options } = {
  simpleRnnCell: (random, draws) => ({ units: units(random), ...common(random, draws), ...limited(random) }),
  gruCell: (random, draws) => ({
    units: units(random),
    ...gated(random, draws),
    ...maybe(random, 0.4, () => ({ resetAfter: random.chance(0.3) })),
    ...limited(random),
  }),
  lstmCell: (random, draws) => ({
    units: units(random),
    ...gated(random, draws),
    ...maybe(random, 0.2, () => ({ unitForgetBias: false })),
    ...maybe(random, 0.15, () => ({ peepholes: true })),
    ...maybe(random, 0.15, () => ({ projection: units(random) })),
    ...maybe(random, 0.1, () => ({ inputForget: true, unitForgetBias: false })),
    ...limited(random),
  }),
  layerNormLstmCell: (random, draws) => ({
    units: random.pick([2, 3]),
    ...gated(random, draws),
    ...maybe(random, 0.3, () => ({ epsilon: 0.015625 })),
  }),
};

/** The types of the cells over vectors. */
export const vectorCellTypes: readonly string[] = Object.keys(vectorCells);

/** The size of what a cell puts out at a step. */
export function outputSize({ type, options, cells }: CellDescription): number {
  if (cells) return outputSize(cells[cells.length - 1]);
  return Number(type === "lstmCell" && options.projection ? options.projection : options.units);
}

/** A built-in cell over vectors. */
export function drawCell(
  random: Random,
  draws: boolean,
  type = random.pick(vectorCellTypes),
): CellDescription {
  return { type, options: vectorCells[type](random, draws) };
}

/** A cell for `rnn`: a built-in one, several, or one of a user's own. */
export function drawAnyCell(random: Random, draws: boolean): CellDescription {
  if (random.chance(0.35)) return { type: "leaky", options: { units: units(random) } };
  if (random.chance(0.55)) {
    const cells = Array.from(
      { length: random.whole(1, 3) },
      () =>
        random.chance(0.15) ? { type: "leaky", options: { units: units(random) } } : drawCell(random, draws),
    );
    return { type: "stackedCells", options: {}, cells };
  }
  return drawCell(random, draws);
}

/** What a recurrent layer does with its cell. */
export function drawFlags(random: Random, sequences: boolean): Options {
  return {
    ...(sequences ? { returnSequences: true } : maybe(random, 0.1, () => ({ returnSequences: false }))),
    ...maybe(random, 0.2, () => ({ goBackwards: true })),
    ...maybe(random, 0.2, () => ({ zeroOutputForMask: true })),
    ...maybe(random, 0.1, () => ({ unroll: true })),
    ...maybe(random, 0.1, () => ({ checkpointEvery: random.whole(1, 3) })),
  };
}

/** A window over `space`, and the space of what it makes. */
export function drawWindow(
  random: Random,
  space: readonly number[],
): { readonly options: Options; readonly space: readonly number[] } {
  const padding = random.pick(["valid", "same"] as const);
  const kernelSize = space.map((size) => random.whole(1, Math.min(size, 2)));
  const strides = random.chance(0.3) ? space.map(() => random.whole(1, 2)) : space.map(() => 1);
  const dilated = padding === "valid" && random.chance(0.2) && strides.every((stride) => stride === 1);
  const dilation = space.map((size, axis) => dilated && kernelSize[axis] > 1 && size > 2 ? 2 : 1);
  const out = space.map((size, axis) =>
    padding === "same"
      ? Math.ceil(size / strides[axis])
      : Math.floor((size - (kernelSize[axis] - 1) * dilation[axis] - 1) / strides[axis]) + 1
  );
  return {
    space: out,
    options: {
      kernelSize,
      padding,
      ...(strides.some((stride) => stride > 1) ? { strides } : {}),
      ...(dilation.some((rate) => rate > 1) ? { dilationRate: dilation } : {}),
    },
  };
}

/** Options of a convolutional LSTM over `space`, and the space of its output. */
export function drawConvolution(
  random: Random,
  given: readonly number[],
): { readonly options: Options; readonly space: readonly number[] } {
  const { options, space } = drawWindow(random, given);
  return {
    space,
    options: {
      filters: random.whole(1, 2),
      ...options,
      ...gated(random, false),
      ...maybe(random, 0.2, () => ({ unitForgetBias: false })),
    },
  };
}
