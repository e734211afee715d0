// IRNN (Le et al., 2015): rectified linear units whose recurrent matrix begins as the identity
import * as cf from "@cellfold/cellfold";

const units = 32;

export function params(key, features) {
  return {
    kernel: cf.normal(key, [features, units], { stddev: 0.1 }),
    // Without an input, a state stays what it is.
    recurrent: cf.oneHot(cf.iota([units], { dtype: "int32" }), units),
    bias: cf.zeros([units]),
  };
}

export const state = (batch) => cf.zeros([batch, units]);

export const cell = ({ kernel, recurrent, bias }) => (h, x) => {
  const sum = cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent));
  const next = cf.relu(cf.add(sum, bias));
  return [next, next];
};
