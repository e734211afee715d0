/** A mixture of normal distributions of where a pen goes: its density as a loss, and steps that are drawn from it. */
import * as cf from "@cellfold/cellfold";
import type { Random } from "../support/program.ts";
import type { PenStep } from "./strokes.ts";

/** How many distributions a mixture has. */
export const PARTS = 8;
/** Steps are divided by it, so that they are about 1. */
export const SCALE = 0.1;

/** A mixture from the numbers that the model gives, `[..., 6 · PARTS]`: logarithms of its weights, means, and so on. */
function mixtureOf(numbers: cf.Tensor) {
  const [weights, meanX, meanY, scaleX, scaleY, correlation] = cf.split(numbers, 6);
  return {
    logWeights: cf.logSoftmax(weights),
    means: [meanX, meanY],
    deviations: [cf.add(cf.softplus(scaleX), 0.01), cf.add(cf.softplus(scaleY), 0.01)],
    correlation: cf.mul(0.95, cf.tanh(correlation)),
  };
}

/** Minus the logarithm of the density of each location (Graves, equations 23 to 26). */
export const mixtureDensity: cf.Loss = {
  type: "mixtureDensity",
  options: { parts: PARTS },
  reduction: "sumOverBatchSize",
  labels: "dense",
  values: (target, prediction) => {
    const { logWeights, means, deviations, correlation } = mixtureOf(prediction);
    const [x, y] = cf.split(target, 2).map((value, i) => cf.div(cf.sub(value, means[i]), deviations[i]));
    const left = cf.sub(1, cf.square(correlation));
    const distance = cf.sub(cf.add(cf.square(x), cf.square(y)), cf.mul(2, cf.mul(correlation, cf.mul(x, y))));
    const logNormalizer = cf.add(
      cf.log(cf.mul(2 * Math.PI, cf.mul(deviations[0], deviations[1]))),
      cf.mul(0.5, cf.log(left)),
    );
    const logDensity = cf.sub(cf.div(distance, cf.mul(-2, left)), logNormalizer);
    return cf.neg(cf.logSumExp(cf.add(logWeights, logDensity)));
  },
};

/** The same for one normal distribution that fits all steps, and for pens that are lifted as often as they are. */
export function lossWithoutModel(steps: readonly PenStep[]): number {
  const mean = (of: (step: PenStep) => number) =>
    steps.reduce((sum, step) => sum + of(step), 0) / steps.length;
  const [x, y] = [mean(({ dx }) => dx), mean(({ dy }) => dy)];
  const [xx, yy] = [mean(({ dx }) => (dx - x) ** 2), mean(({ dy }) => (dy - y) ** 2)];
  const xy = mean(({ dx, dy }) => (dx - x) * (dy - y));
  const p = mean(({ up }) => up);
  const pen = -p * Math.log(p) - (1 - p) * Math.log(1 - p);
  return 1 + Math.log(2 * Math.PI) + Math.log((xx * yy - xy * xy) / SCALE ** 4) / 2 + pen;
}

/** Draws a step from what the model says of it; `calm` below 1 keeps it near the means. */
export function drawStep(location: cf.Tensor, pressure: cf.Tensor, random: Random, calm: number): PenStep {
  const { logWeights, means, deviations, correlation } = mixtureOf(location);
  const [weights, mx, my, sx, sy, r] = [logWeights, ...means, ...deviations, correlation].map((t) =>
    cf.host(t).data
  );
  let [part, left] = [0, random.uniform()];
  while (part < PARTS - 1 && (left -= Math.exp(weights[part])) > 0) part++;
  const [a, b] = [calm * random.normal(), calm * random.normal()];
  return {
    dx: SCALE * (mx[part] + sx[part] * a),
    dy: SCALE * (my[part] + sy[part] * (r[part] * a + Math.sqrt(1 - r[part] ** 2) * b)),
    up: random.uniform() < cf.item(cf.sigmoid(pressure)) ? 1 : 0,
  };
}
