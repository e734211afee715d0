/** Folds, alone and nested, and their gradients, for comparing a backend with the reference. */
import {
  add,
  at,
  cast,
  concat,
  cumsum,
  div,
  exp,
  matmul,
  max,
  mean,
  mul,
  reverse,
  scan,
  sigmoid,
  split,
  sqrt,
  square,
  sub,
  sum,
  tanh,
  type Tensor,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import type { AgreementCase } from "./agreement_case.ts";

const cell = (w: Tensor, u: Tensor) => (h: Tensor, x: Tensor) => {
  const next = tanh(add(matmul(x, w), matmul(h, u)));
  return [mul(next, 2), next] as [Tensor, Tensor];
};

/** Rows less their means, divided by their standard deviations. */
function normalized(v: Tensor): Tensor {
  const centered = sub(v, mean(v, { axes: 1, keepDims: true }));
  return div(centered, sqrt(add(mean(square(centered), { axes: 1, keepDims: true }), 1e-3)));
}

/** Every case of a fold. */
export const scans: readonly AgreementCase[] = [
  { name: "scan", fn: (w, u, h, x) => scan(cell(w, u), h, x), inputs: [[3, 4], [4, 4], [5, 4], [5, 6, 3]] },
  {
    name: "scan of one row",
    fn: (w, u, h, x) => scan(cell(w, u), h, x),
    inputs: [[3, 4], [4, 4], [1, 4], [1, 6, 3]],
  },
  {
    name: "scan reversed",
    fn: (w, u, h, x) => scan(cell(w, u), h, x, { reverse: true }),
    inputs: [[3, 8], [8, 8], [5, 8], [5, 6, 3]],
  },
  {
    name: "scan with running sums",
    fn: (h, x) => scan((h: Tensor, x: Tensor) => [cumsum(add(h, x)), cumsum(mul(h, x), { axis: 0 })], h, x),
    inputs: [[5, 8], [5, 6, 8]],
  },
  {
    name: "scan with running sums of rows",
    fn: (h, x) => scan((h: Tensor, x: Tensor) => [h, cumsum(mul(h, x), { exclusive: true })], h, x),
    inputs: [[5, 8], [5, 6, 8]],
  },
  ...[0, 1].map((axis): AgreementCase => ({
    name: `scan with products of running sums along ${axis}`,
    fn: (h, x, w) => scan((h: Tensor, x: Tensor) => [h, add(h, matmul(cumsum(x, { axis }), w))], h, x),
    inputs: [[3, 5], [3, 4, 6], [6, 5]],
  })),
  {
    name: "scan with long running sums",
    fn: (h, x) => scan((h: Tensor, x: Tensor) => [h, mul(cumsum(add(h, x)), 0.01)], h, x),
    inputs: [[3, 1500], [3, 2, 1500]],
  },
  {
    name: "scan of no steps",
    fn: (w, u, h, x) => scan(cell(w, u), h, x),
    inputs: [[3, 4], [4, 4], [5, 4], [5, 0, 3]],
  },
  {
    name: "scan masked",
    fn: (w, u, h, x, mask) => scan(cell(w, u), h, x, { mask }),
    inputs: [[3, 4], [4, 4], [5, 4], [5, 6, 3], ["bool", 5, 6]],
  },
  {
    name: "scan with lengths",
    fn: (w, u, h, x, lengths) => scan(cell(w, u), h, x, { lengths, maskedOutput: "zero" }),
    inputs: [[3, 4], [4, 4], [5, 4], [5, 6, 3], ["int32", 5]],
  },
  {
    name: "carries that swap",
    fn: (a, b, x) =>
      scan(([p, q]: readonly [Tensor, Tensor], step: Tensor) => [add(p, step), [q, p]] as const, [a, b], x),
    inputs: [[5, 3], [5, 3], [5, 4, 3]],
  },
  {
    name: "carries that mix",
    fn: (a, b, x) =>
      scan(([p, q]: readonly [Tensor, Tensor], step: Tensor) => [q, [add(q, step), mul(p, step)]] as const, [
        a,
        b,
      ], x),
    inputs: [[5, 3], [5, 3], [5, 4, 3]],
  },
  {
    name: "counter in the state",
    fn: (h, x) =>
      scan(
        ([n, s]: readonly [Tensor, Tensor], step: Tensor) => {
          const next = add(n, 1);
          return [mul(step, cast(next, "float32")), [next, add(s, step)]] as const;
        },
        [zeros([], { dtype: "int32" }), h],
        x,
      ),
    inputs: [[4, 3], [4, 5, 3]],
  },
  {
    name: "rows that mix",
    fn: (h, x) =>
      scan(
        (s: Tensor, step: Tensor) =>
          [reverse(s, 0), sub(add(s, step), mean(s, { axes: 0, keepDims: true }))] as const,
        h,
        x,
      ),
    inputs: [[4, 3], [4, 5, 3]],
  },
  {
    name: "scan in a scan",
    fn: (w, h, x) =>
      scan(
        (s: Tensor, block: Tensor) => {
          const [ys, last] = scan(
            (t: Tensor, step: Tensor) => {
              const next = tanh(matmul(add(t, step), w));
              return [next, next] as const;
            },
            s,
            block,
          );
          return [sum(ys, { axes: 1 }), last] as const;
        },
        h,
        x,
      ),
    inputs: [[3, 3], [4, 3], [4, 5, 2, 3]],
  },
  {
    name: "gradient of a scan",
    fn: (w, u, h, x) =>
      valueAndGrad((p: Tensor[]) => {
        const [ys, last] = scan(cell(p[0], p[1]), p[2], p[3]);
        return add(sum(mul(ys, ys)), sum(last));
      })([w, u, h, x]),
    inputs: [[3, 4], [4, 4], [5, 4], [5, 6, 3]],
  },
  {
    name: "gradient of a masked, checkpointed scan",
    fn: (w, u, h, x, mask) =>
      valueAndGrad((p: Tensor[]) => {
        const [ys, last] = scan(cell(p[0], p[1]), p[2], p[3], { mask, checkpointEvery: 4 });
        return add(sum(mul(ys, ys)), sum(last));
      })([w, u, h, x]),
    inputs: [[3, 4], [4, 4], [5, 4], [5, 11, 3], ["bool", 5, 11]],
  },
  ...[20, 130].map((steps): AgreementCase => ({
    name: `gradient of a normalized state over ${steps} steps`,
    fn: (u, gain, bias, h, x) => {
      const step = (u: Tensor, gain: Tensor, bias: Tensor) => (h: Tensor, x: Tensor) => {
        const next = tanh(add(add(mul(normalized(matmul(h, u)), gain), bias), x));
        return [next, next] as [Tensor, Tensor];
      };
      const loss = ([u, gain, bias, x]: readonly Tensor[]) => mean(scan(step(u, gain, bias), h, x)[0]);
      return valueAndGrad(loss)([u, gain, bias, x]);
    },
    inputs: [[12, 12], [12], [12], [13, 12], [13, steps, 12]],
  })),
  {
    name: "a state that is written in another order than it is read",
    fn: (h, x) =>
      scan(
        (h: Tensor, x: Tensor) => {
          const turned = mul(reverse(h, [1]), 0.5);
          const next = add(turned, mul(tanh(sum(mul(turned, turned), { axes: 1, keepDims: true })), x));
          return [next, next];
        },
        h,
        x,
      ),
    inputs: [[5, 20], [5, 6, 20]],
  },
  {
    name: "maxima and sums of the rows of a state",
    fn: (w, h, x) =>
      scan(
        (h: Tensor, x: Tensor) => {
          const logits = add(matmul(h, w), x), rows = { axes: 1, keepDims: true };
          const weights = exp(sub(logits, max(logits, rows)));
          const next = div(weights, sum(weights, rows));
          return [mul(next, sum(square(x), rows)), next];
        },
        h,
        x,
      ),
    inputs: [[20, 20], [9, 20], [9, 6, 20]],
  },
  {
    name: "gradient of gates written apart",
    fn: (wi, ui, wf, uf, x) =>
      valueAndGrad((p: Tensor[]) => {
        const gate = (h: Tensor, step: Tensor) => {
          const i = sigmoid(add(matmul(step, p[0]), matmul(h, p[1])));
          const f = sigmoid(matmul(concat([step, h]), concat([p[2], p[3]], { axis: 0 })));
          const next = add(mul(f, h), mul(i, tanh(step)));
          return [next, next] as const;
        };
        const [ys] = scan(gate, zeros([5, 4]), x);
        return sum(mul(at(ys, -1, { axis: 1 }), 3));
      })([wi, ui, wf, uf]),
    inputs: [[4, 4], [4, 4], [4, 4], [4, 4], [5, 6, 4]],
  },
  {
    name: "gates of a split",
    fn: (w, x) =>
      valueAndGrad((p: Tensor[]) => {
        const [ys] = scan(
          (h: Tensor, step: Tensor) => {
            const [z, r] = split(add(matmul(concat([step, h]), p[0]), 0.1), 2);
            const next = add(mul(sigmoid(z), h), mul(sub(1, sigmoid(z)), tanh(r)));
            return [next, next] as const;
          },
          zeros([3, 5]),
          x,
        );
        return mean(mul(ys, ys));
      })([w]),
    inputs: [[9, 10], [3, 7, 4]],
  },
];
