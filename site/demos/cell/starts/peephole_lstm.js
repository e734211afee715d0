// LSTM with peepholes (Gers and Schmidhuber, 2000): the gates see the memory, too
import * as cf from "@cellfold/cellfold";

const units = 24;
const limits = { min: -0.2, max: 0.2 };

export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, 4 * units], limits),
    recurrent: cf.uniform(second, [units, 4 * units], limits),
    bias: cf.concat([cf.zeros([units]), cf.ones([units]), cf.zeros([2 * units])]),
    peephole: { input: cf.zeros([units]), forget: cf.zeros([units]), output: cf.zeros([units]) },
  };
}

export const state = (batch) => ({ h: cf.zeros([batch, units]), c: cf.zeros([batch, units]) });

export const cell = ({ kernel, recurrent, bias, peephole }) => ({ h, c }, x) => {
  const all = cf.add(cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent)), bias);
  const [input, forget, candidate, output] = cf.split(all, 4);
  const gate = (sum, weights, memory) => cf.sigmoid(cf.add(sum, cf.mul(weights, memory)));
  const memory = cf.add(
    cf.mul(gate(forget, peephole.forget, c), c),
    cf.mul(gate(input, peephole.input, c), cf.tanh(candidate)),
  );
  const next = cf.mul(gate(output, peephole.output, memory), cf.tanh(memory));
  return [next, { h: next, c: memory }];
};
