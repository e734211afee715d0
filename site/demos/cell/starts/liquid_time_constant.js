// Liquid time constants (Hasani et al., 2021): a differential equation whose speed depends on the input,
//   dh/dt = -(1/τ + f) · h + f · A,  solved by fused Euler steps
import * as cf from "@cellfold/cellfold";

const units = 24;
const substeps = 3;
const limits = { min: -0.3, max: 0.3 };

export function params(key, features) {
  const keys = cf.splitKey(key, 3);
  return {
    kernel: cf.normal(keys[0], [features, units]),
    recurrent: cf.uniform(keys[1], [units, units], limits),
    bias: cf.full([units], -2), // slow at first
    target: cf.normal(keys[2], [units]),
    logRate: cf.full([units], -3), // log(1/τ)
  };
}

export const state = (batch) => cf.zeros([batch, units]);

export const cell = ({ kernel, recurrent, bias, target, logRate }) => (h, x) => {
  const fromInput = cf.add(cf.matmul(x, kernel), bias);
  const rate = cf.exp(logRate);
  const dt = 1 / substeps;
  let next = h;
  // A loop of JavaScript is traced: the compiled step has its body three times.
  for (let step = 0; step < substeps; step++) {
    const f = cf.sigmoid(cf.add(fromInput, cf.matmul(next, recurrent)));
    const raised = cf.add(next, cf.mul(dt, cf.mul(f, target)));
    next = cf.div(raised, cf.add(1, cf.mul(dt, cf.add(rate, f))));
  }
  return [next, next];
};
