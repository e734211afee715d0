/** Functions whose derivative sums cotangents along rows, for `cases.ts`. */
import { add, div, exp, expandDims, mean, mul, neg, sqrt, sub, sum, tanh, type Tensor } from "../../mod.ts";
import type { DerivativeCase } from "./cases.ts";

const one = (
  title: string,
  of: readonly number[],
  apply: (x: Tensor) => Tensor,
): DerivativeCase => ({ title, shapes: [of], domain: "any", apply });

const meanOf = (x: Tensor, axes: number | number[]) => mean(x, { axes, keepDims: true });

/** What is less by its mean over `axes`, with a factor that is constant along them. */
const normalized = (x: Tensor, axes: number | number[]) => {
  const centered = sub(x, meanOf(x, axes));
  return div(centered, sqrt(add(meanOf(mul(centered, centered), axes), 0.5)));
};

/** Sums of cotangents whose terms have factors that are constant along what is summed, and some that look alike. */
export const sumsOfRows: readonly DerivativeCase[] = [
  one("normalized along the last axis", [2, 4], (x) => normalized(x, -1)),
  one("normalized along the axis in the middle", [2, 3, 2], (x) => normalized(x, 1)),
  one("normalized along two axes", [2, 3, 2], (x) => normalized(x, [1, 2])),
  one("normalized along the first axis", [3, 2], (x) => normalized(x, 0)),
  one("normalized twice", [2, 3], (x) => normalized(tanh(normalized(x, 1)), 1)),
  one("less the mean of another", [2, 3], (x) => {
    const less = sub(x, meanOf(mul(x, x), 1));
    return mul(less, exp(meanOf(mul(less, x), 1)));
  }),
  one("less a sum that is no mean", [2, 3], (x) => {
    const less = sub(x, div(sum(x, { axes: 1, keepDims: true }), 2));
    return mul(less, exp(meanOf(mul(less, less), 1)));
  }),
  one("less a mean along another axis", [2, 3, 2], (x) => {
    const less = sub(x, meanOf(x, 2));
    return mul(less, exp(meanOf(mul(less, sub(less, meanOf(less, 1))), 1)));
  }),
  one("less the mean of another row, of as many elements", [3, 3], (x) => {
    const less = sub(x, mean(x, { axes: 1 }));
    return mul(less, sqrt(add(meanOf(mul(x, x), 1), 1)));
  }),
  one("less means of rows and of columns", [2, 2], (x) => {
    const less = sub(sub(x, meanOf(x, 1)), mean(x, { axes: 1 }));
    return mul(mul(less, less), exp(meanOf(mul(less, x), 1)));
  }),
  one("less a mean along another axis of the same size", [2, 3, 3], (x) => {
    const less = sub(x, expandDims(mean(x, { axes: 2 }), 1));
    return add(mul(less, exp(meanOf(mul(less, less), 1))), mul(x, meanOf(x, 1)));
  }),
  one("less the mean over both axes", [2, 2, 2], (x) => {
    const less = sub(x, meanOf(x, [1, 2]));
    return mul(less, exp(meanOf(mul(less, less), 2)));
  }),
  one("differences and negatives", [2, 3], (x) => {
    const scale = exp(meanOf(x, 1)), shift = tanh(meanOf(mul(x, x), 1));
    return sub(neg(div(sub(x, shift), scale)), mul(scale, sub(mul(x, x), shift)));
  }),
  one("factors that vary along some axes", [2, 3, 2], (x) => {
    const shift = meanOf(x, 2), scale = exp(sum(mul(x, x), { axes: [1, 2], keepDims: true }));
    return div(mul(sub(x, shift), sub(mul(x, x), meanOf(x, 1))), add(scale, 1));
  }),
];
