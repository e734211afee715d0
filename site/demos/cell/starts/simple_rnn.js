// Simple recurrent network (Elman, 1990): h' = tanh(x·W + h·U + b)
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

/** What is learned, for inputs with so many features. */
export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, units], limits),
    recurrent: cf.uniform(second, [units, units], limits),
    bias: cf.zeros([units]),
  };
}

/** The state before the first step. */
export const state = (batch) => cf.zeros([batch, units]);

/** One step: state and input in, output and next state out. */
export const cell = ({ kernel, recurrent, bias }) => (h, x) => {
  const sum = cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent));
  const next = cf.tanh(cf.add(sum, bias));
  return [next, next];
};
