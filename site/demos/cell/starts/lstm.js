// Long short-term memory (Hochreiter and Schmidhuber, 1997), with the forget gate of Gers et al. (2000)
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, 4 * units], limits),
    recurrent: cf.uniform(second, [units, 4 * units], limits),
    // The forget gate is open at first.
    bias: cf.concat([cf.zeros([units]), cf.ones([units]), cf.zeros([2 * units])]),
  };
}

export const state = (batch) => ({ h: cf.zeros([batch, units]), c: cf.zeros([batch, units]) });

export const cell = ({ kernel, recurrent, bias }) => ({ h, c }, x) => {
  const all = cf.add(cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent)), bias);
  const [input, forget, candidate, output] = cf.split(all, 4);
  const memory = cf.add(
    cf.mul(cf.sigmoid(forget), c),
    cf.mul(cf.sigmoid(input), cf.tanh(candidate)),
  );
  const next = cf.mul(cf.sigmoid(output), cf.tanh(memory));
  return [next, { h: next, c: memory }];
};
