/** A cell of one's own, the minimal gated unit. */
import * as cf from "@cellfold/cellfold";

interface GateParams {
  readonly forget: cf.Tensor;
  readonly candidate: cf.Tensor;
  readonly biases: { readonly forget: cf.Tensor; readonly candidate: cf.Tensor };
}

/** The minimal gated unit: `f = σ([x, h]·F + b)`, `c = tanh([x, f·h]·C + d)`, `h' = (1 - f)·h + f·c`. */
export const minimalGatedCell = (
  { units }: { readonly units: number },
): cf.RecurrentCell<GateParams, cf.Tensor, cf.Tensor, cf.Tensor> => ({
  type: "minimalGatedCell",
  options: { units },
  initParams: (key, { shape: [, features] }) => {
    const shape = [Number(features) + units, units];
    const [forget, candidate] = cf.splitKey(key, 2).map((key) =>
      cf.normal(key, shape, { stddev: shape[0] ** -0.5 })
    );
    return { forget, candidate, biases: { forget: cf.full([units], -1), candidate: cf.zeros([units]) } };
  },
  initState: (_, { shape: [batch] }) => cf.zeros([batch, units]),
  step: ({ forget, candidate, biases }) => (h, x) => {
    const f = cf.sigmoid(cf.add(cf.matmul(cf.concat([x, h]), forget), biases.forget));
    const c = cf.tanh(cf.add(cf.matmul(cf.concat([x, cf.mul(f, h)]), candidate), biases.candidate));
    const next = cf.add(cf.mul(cf.sub(1, f), h), cf.mul(f, c));
    return [next, next];
  },
});
