/** A mixture of normal distributions of where a pen goes: its loss, and steps that are drawn from it. */
import * as cf from "@cellfold/cellfold";
import type { Random } from "../support/program.ts";
import type { PenStep } from "./strokes.ts";

/** How many distributions a mixture has. */
export const PARTS = 8;
/** Steps are divided by it, so that they are about 1. */
export const SCALE = 0.1;

/** How the numbers that the model gives, `[..., 6 · PARTS]`, are a mixture. */
const mixture = { components: PARTS, dimensions: 2, correlated: true, minDeviation: 0.01 } as const;

/** Minus the logarithm of the density of each location (Graves, equations 23 to 26). */
export const mixtureDensity: cf.Loss = cf.mixtureDensity(mixture);

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
  const { logWeights, means, deviations, correlation } = cf.mixtureOf(location, mixture);
  const parameters = [logWeights, ...means, ...deviations, correlation ?? cf.zerosLike(logWeights)];
  const [weights, mx, my, sx, sy, r] = parameters.map((t) => cf.host(t).data);
  let [part, left] = [0, random.uniform()];
  while (part < PARTS - 1 && (left -= Math.exp(weights[part])) > 0) part++;
  const [a, b] = [calm * random.normal(), calm * random.normal()];
  return {
    dx: SCALE * (mx[part] + sx[part] * a),
    dy: SCALE * (my[part] + sy[part] * (r[part] * a + Math.sqrt(1 - r[part] ** 2) * b)),
    up: random.uniform() < cf.item(cf.sigmoid(pressure)) ? 1 : 0,
  };
}
