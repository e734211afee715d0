// Linear recurrent unit (Orvieto et al., 2023), a diagonal state-space model: complex numbers that decay
// and turn. Only the state is linear: what enters and what leaves goes through nonlinear functions.
import * as cf from "@cellfold/cellfold";

const units = 32;

export function params(key, features) {
  const keys = cf.splitKey(key, 6);
  const radius = cf.uniform(keys[0], [units], { min: 0.8, max: 0.99 });
  return {
    // |λ| = exp(-exp(logDecay)) stays below 1, whatever is learned.
    logDecay: cf.log(cf.neg(cf.log(radius))),
    angle: cf.uniform(keys[1], [units], { min: 0, max: 1 }),
    encoder: { kernel: cf.normal(keys[2], [features, units]), bias: cf.zeros([units]) },
    input: {
      re: cf.normal(keys[3], [units, units], { stddev: 0.15 }),
      im: cf.normal(keys[4], [units, units], { stddev: 0.15 }),
    },
    output: cf.normal(keys[5], [2 * units, units], { stddev: 0.15 }),
  };
}

export const state = (batch) => ({ re: cf.zeros([batch, units]), im: cf.zeros([batch, units]) });

export const cell = ({ logDecay, angle, encoder, input, output }) => ({ re, im }, x) => {
  const seen = cf.silu(cf.add(cf.matmul(x, encoder.kernel), encoder.bias));
  const radius = cf.exp(cf.neg(cf.exp(logDecay)));
  const [a, b] = [cf.mul(radius, cf.cos(angle)), cf.mul(radius, cf.sin(angle))];
  const scale = cf.sqrt(cf.sub(1, cf.square(radius)));
  const next = {
    re: cf.add(cf.sub(cf.mul(a, re), cf.mul(b, im)), cf.mul(scale, cf.matmul(seen, input.re))),
    im: cf.add(cf.add(cf.mul(a, im), cf.mul(b, re)), cf.mul(scale, cf.matmul(seen, input.im))),
  };
  return [cf.silu(cf.matmul(cf.concat([next.re, next.im]), output)), next];
};
