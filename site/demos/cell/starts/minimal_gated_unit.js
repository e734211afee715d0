// Minimal gated unit (Zhou et al., 2016): a GRU with a single gate
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

export function params(key, features) {
  const keys = cf.splitKey(key, 4);
  return {
    gate: {
      kernel: cf.uniform(keys[0], [features, units], limits),
      recurrent: cf.uniform(keys[1], [units, units], limits),
      bias: cf.ones([units]),
    },
    candidate: {
      kernel: cf.uniform(keys[2], [features, units], limits),
      recurrent: cf.uniform(keys[3], [units, units], limits),
      bias: cf.zeros([units]),
    },
  };
}

export const state = (batch) => cf.zeros([batch, units]);

const affine = ({ kernel, recurrent, bias }, h, x) =>
  cf.add(cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent)), bias);

export const cell = ({ gate, candidate }) => (h, x) => {
  const forget = cf.sigmoid(affine(gate, h, x));
  const proposed = cf.tanh(affine(candidate, cf.mul(forget, h), x));
  const next = cf.add(cf.mul(forget, h), cf.mul(cf.sub(1, forget), proposed));
  return [next, next];
};
