// LSTM with layer normalization (Ba et al., 2016)
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, 4 * units], limits),
    recurrent: cf.uniform(second, [units, 4 * units], limits),
    bias: cf.concat([cf.zeros([units]), cf.ones([units]), cf.zeros([2 * units])]),
    scale: { x: cf.ones([4 * units]), h: cf.ones([4 * units]), c: cf.ones([units]) },
  };
}

export const state = (batch) => ({ h: cf.zeros([batch, units]), c: cf.zeros([batch, units]) });

/** Mean 0 and variance 1 over the last axis, then a learned scale. */
function normalize(x, scale) {
  const centered = cf.sub(x, cf.mean(x, { axes: -1, keepDims: true }));
  const variance = cf.mean(cf.square(centered), { axes: -1, keepDims: true });
  return cf.mul(cf.div(centered, cf.sqrt(cf.add(variance, 1e-3))), scale);
}

export const cell = ({ kernel, recurrent, bias, scale }) => ({ h, c }, x) => {
  const fromInput = normalize(cf.matmul(x, kernel), scale.x);
  const fromState = normalize(cf.matmul(h, recurrent), scale.h);
  const [input, forget, candidate, output] = cf.split(cf.add(cf.add(fromInput, fromState), bias), 4);
  const memory = cf.add(
    cf.mul(cf.sigmoid(forget), c),
    cf.mul(cf.sigmoid(input), cf.tanh(candidate)),
  );
  const next = cf.mul(cf.sigmoid(output), cf.tanh(normalize(memory, scale.c)));
  return [next, { h: next, c: memory }];
};
