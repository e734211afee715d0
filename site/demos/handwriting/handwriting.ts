/**
 * Handwriting after Graves, "Generating sequences with recurrent neural networks" (2013), section 4: a cell reads where
 * the pen went, and says by a mixture of Gaussians where it may go next. `ink.ts` turns strokes into steps of the pen.
 */
import * as cf from "@cellfold/cellfold";
import { decodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";

const UNITS = 192;
/** Gaussians of the mixture. */
export const COMPONENTS = 10;

/** A value for each part of a step: where the pen goes, and whether it draws on the way (1) or is lifted (0). */
export type PenTree<Leaf> = {
  readonly location: readonly [dx: Leaf, dy: Leaf];
  readonly pressure: Leaf;
};
/** What the cell says of the next step. */
export type NextStep<Leaf> = {
  /** The mixture, `[..., 6 · components]`. */
  readonly location: Leaf;
  /** The logit of the pressure, `[..., 1]`. */
  readonly pressure: Leaf;
};
interface Params {
  /** A kernel for each part of the input, in the same tree. */
  readonly kernels: PenTree<cf.Tensor>;
  readonly recurrentKernel: cf.Tensor;
  readonly bias: cf.Tensor;
  /** What reads the output from the state, in the tree of the output. */
  readonly heads: NextStep<{ readonly kernel: cf.Tensor; readonly bias: cf.Tensor }>;
}
interface PenState {
  readonly h: cf.Tensor;
  readonly c: cf.Tensor;
}

/** An LSTM whose input gate is what its forget gate leaves (Greff et al., 2017, "CIFG"); all that it takes and gives is nested. */
const penCell: cf.RecurrentCell<Params, PenState, PenTree<cf.Tensor>, NextStep<cf.Tensor>> = {
  type: "penCell",
  options: { units: UNITS, components: COMPONENTS },
  initParams(key) {
    const [input, recurrent, location, pressure] = cf.splitKey(key, 4);
    const weights = (key: cf.Tensor, from: number, to: number) =>
      cf.normal(key, [from, to], { stddev: Math.sqrt(1 / Math.max(from, 3)) });
    const [dx, dy, down] = cf.splitKey(input, 3).map((key) => weights(key, 1, 3 * UNITS));
    const head = (key: cf.Tensor, size: number) => ({
      kernel: weights(key, UNITS, size),
      bias: cf.zeros([size]),
    });
    return {
      kernels: { location: [dx, dy], pressure: down },
      recurrentKernel: weights(recurrent, UNITS, 3 * UNITS),
      bias: cf.concat([cf.ones([UNITS]), cf.zeros([2 * UNITS])]), // what is in the memory stays, at first
      heads: { location: head(location, 6 * COMPONENTS), pressure: head(pressure, 1) },
    };
  },
  initState: (_, { pressure: { shape: [batch] } }) => ({
    h: cf.zeros([batch, UNITS]),
    c: cf.zeros([batch, UNITS]),
  }),
  step: ({ kernels, recurrentKernel, bias, heads }) => ({ h, c }, { location: [dx, dy], pressure }) => {
    const products = [
      cf.matmul(dx, kernels.location[0]),
      cf.matmul(dy, kernels.location[1]),
      cf.matmul(pressure, kernels.pressure),
      cf.matmul(h, recurrentKernel),
    ];
    const [forget, candidate, output] = cf.split(products.reduce((sum, x) => cf.add(sum, x), bias), 3);
    const kept = cf.sigmoid(forget);
    const memory = cf.add(cf.mul(kept, c), cf.mul(cf.sub(1, kept), cf.tanh(candidate)));
    const state = { h: cf.mul(cf.sigmoid(output), cf.tanh(memory)), c: memory };
    const read = ({ kernel, bias }: typeof heads.pressure) => cf.add(cf.matmul(state.h, kernel), bias);
    return [{ location: read(heads.location), pressure: read(heads.pressure) }, state];
  },
};

/** From steps of the pen to what comes after each: a fold of the cell, nothing else. */
export const model = cf.rnn(penCell, { returnSequences: true });

const part = (batch: number | null) => cf.spec([batch, null, 1]);
const input = (batch: number | null): PenTree<cf.Spec> => ({
  location: [part(batch), part(batch)],
  pressure: part(batch),
});

/** Fresh weights. */
export const freshWeights = (key: cf.Tensor) => cf.init(model, key, input(null));

/** Reads a file that `site/training/handwriting.ts` wrote. */
export function readModel(file: Uint8Array): cf.Variables {
  return restoreTree(freshWeights(cf.key(0)), decodeSafetensors(file).tensors);
}

/** Standard deviations are at least this, in steps: no density is infinite. Correlations stay below this. */
const [NARROWEST, MOST_CORRELATED] = [0.02, 0.95];

/** The parts of a mixture, each `[..., components]`: equations 18 to 22, with softplus for the deviations. */
export function mixtureOf(location: cf.Tensor) {
  const [logits, meanX, meanY, x, y, r] = cf.split(location, 6);
  const deviation = (z: cf.Tensor) => cf.add(cf.softplus(z), NARROWEST);
  const correlation = cf.mul(cf.tanh(r), MOST_CORRELATED);
  return { logits, meanX, meanY, deviationX: deviation(x), deviationY: deviation(y), correlation };
}

/** `log Σ eˣ` over the last axis, which never overflows. */
function logSumExp(x: cf.Tensor): cf.Tensor {
  const most = cf.stopGradient(cf.max(x, { axes: -1, keepDims: true }));
  return cf.add(cf.squeeze(most, { axes: -1 }), cf.log(cf.sum(cf.exp(cf.sub(x, most)), { axes: -1 })));
}

/** `-log` of the density of steps `[..., 2]` under a mixture `[..., 6 · components]`: equations 23 to 26. */
export const mixtureDensity: cf.Loss = {
  type: "mixtureDensity",
  options: {},
  reduction: "sumOverBatchSize",
  labels: "dense",
  values(target, prediction) {
    const { logits, meanX, meanY, deviationX, deviationY, correlation } = mixtureOf(prediction);
    const [x, y] = cf.split(target, 2);
    const [zx, zy] = [cf.div(cf.sub(x, meanX), deviationX), cf.div(cf.sub(y, meanY), deviationY)];
    const z = cf.sub(cf.add(cf.square(zx), cf.square(zy)), cf.mul(2, cf.mul(correlation, cf.mul(zx, zy))));
    const free = cf.sub(1, cf.square(correlation));
    const logArea = cf.add(cf.log(cf.mul(deviationX, deviationY)), cf.mul(0.5, cf.log(free)));
    const logDensity = cf.sub(cf.neg(cf.div(z, cf.mul(2, free))), cf.add(logArea, Math.log(2 * Math.PI)));
    return cf.sub(logSumExp(logits), logSumExp(cf.add(logits, logDensity)));
  },
};

/** A loss for each part of the output. */
export const objective = {
  loss: { location: mixtureDensity, pressure: cf.binaryCrossentropy({ fromLogits: true }) },
} as const;
