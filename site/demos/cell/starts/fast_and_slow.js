// A state of two parts, { fast, slow }: any tree of tensors can be a state
import * as cf from "@cellfold/cellfold";

const [fastUnits, slowUnits] = [16, 24];
const limits = { min: -0.25, max: 0.25 };

export function params(key, features) {
  const keys = cf.splitKey(key, 3);
  return {
    fast: cf.uniform(keys[0], [features + fastUnits + slowUnits, fastUnits], limits),
    slow: cf.uniform(keys[1], [features + fastUnits, slowUnits], limits),
    gate: cf.uniform(keys[2], [features + fastUnits, slowUnits], limits),
    // The slow part changes little at each step, at first.
    gateBias: cf.full([slowUnits], -2),
  };
}

export const state = (batch) => ({
  fast: cf.zeros([batch, fastUnits]),
  slow: cf.zeros([batch, slowUnits]),
});

export const cell = ({ fast, slow, gate, gateBias }) => (h, x) => {
  const next = cf.tanh(cf.matmul(cf.concat([x, h.fast, h.slow]), fast));
  const seen = cf.concat([x, next]);
  const open = cf.sigmoid(cf.add(cf.matmul(seen, gate), gateBias));
  const change = cf.sub(cf.tanh(cf.matmul(seen, slow)), h.slow);
  const kept = cf.add(h.slow, cf.mul(open, change));
  return [cf.concat([next, kept]), { fast: next, slow: kept }];
};
