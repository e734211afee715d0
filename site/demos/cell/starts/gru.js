// Gated recurrent unit (Cho et al., 2014): a gate decides how much of the state is replaced
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, 3 * units], limits),
    recurrent: cf.uniform(second, [units, 3 * units], limits),
    bias: cf.zeros([3 * units]),
  };
}

export const state = (batch) => cf.zeros([batch, units]);

export const cell = ({ kernel, recurrent, bias }) => (h, x) => {
  const [xz, xr, xn] = cf.split(cf.add(cf.matmul(x, kernel), bias), 3);
  const [hz, hr, hn] = cf.split(cf.matmul(h, recurrent), 3);
  const update = cf.sigmoid(cf.add(xz, hz));
  const reset = cf.sigmoid(cf.add(xr, hr));
  const candidate = cf.tanh(cf.add(xn, cf.mul(reset, hn)));
  const next = cf.add(cf.mul(update, h), cf.mul(cf.sub(1, update), candidate));
  return [next, next];
};
