/** Attention, a step of the query at a time, and the product of two values along an axis of each. */
import type { Options } from "../description.ts";
import { countsAt } from "./counts.ts";
import {
  at,
  fill,
  list,
  matrix,
  nest,
  type Nested,
  plus,
  rounded,
  shapeOf,
  sum,
  times,
  vector,
} from "./nested.ts";
import { type Layer, leavesOf, named } from "./samples.ts";
import { Value } from "./types.ts";

/** Row times row. */
const product = (a: readonly number[], b: readonly number[]) =>
  sum(a.map((value, i) => rounded(value * b[i])));

/** The softmax of the scores that are seen; the others are 0, and all of them where none is. */
function softmaxOf(scores: readonly number[], seen: readonly boolean[]): number[] {
  const largest = Math.max(...scores.filter((_, i) => seen[i]));
  const powers = scores.map((score, i) => seen[i] ? rounded(Math.exp(rounded(score - largest))) : 0);
  const total = sum(powers);
  return powers.map((power) => power === 0 ? 0 : rounded(power / total));
}

/** The mean of the rows with these weights. */
const meanOf = (weights: readonly number[], rows: readonly (readonly number[])[]): number[] =>
  rows[0].map((_, feature) =>
    // A row without weight may hold anything.
    sum(weights.flatMap((weight, i) => weight === 0 ? [] : [rounded(weight * rows[i][feature])]))
  );

/** Whether the step of the query sees that of the value. */
type Sees = (queryStep: number, valueStep: number) => boolean;

function attentionLayer(
  attend: (
    inputs: readonly Nested[],
    sees: Sees,
    options: Options,
    params: { readonly [name: string]: Nested },
  ) => Nested,
  hidesQuery: boolean,
): Layer {
  return ({ options }, params, samples) =>
    samples.map((sample) => {
      const [query, value, key = value] = leavesOf(sample);
      const seesKey = (step: number) =>
        countsAt(value.counts, [step]) && (hidesQuery || countsAt(key.counts, [step]));
      const sees: Sees = (from, to) =>
        seesKey(to) && (options.useCausalMask !== true || to <= from) &&
        (hidesQuery || countsAt(query.counts, [from]));
      const output = attend([query.x, value.x, key.x], sees, options, named(params));
      const shown = hidesQuery
        ? list(output).map((row, step) => countsAt(query.counts, [step]) ? row : vector(row).map(() => 0))
        : output;
      return new Value(shown, query.counts);
    });
}

/** One head, whose scores are made by `compare`. */
const oneHead = (
  compare: (
    query: readonly number[],
    key: readonly number[],
    options: Options,
    params: { readonly [name: string]: Nested },
  ) => number,
): Layer =>
  attentionLayer(([query, value, key], sees, options, params) =>
    matrix(query).map((row, from) => {
      const scores = matrix(key).map((other, to) =>
        sees(from, to) ? compare(row, other, options, params) : 0
      );
      return meanOf(softmaxOf(scores, scores.map((_, to) => sees(from, to))), matrix(value));
    }), true);

const attention = oneHead((query, key, { scoreMode = "dot" }, { scale = 1, concatScoreWeight = 1 }) => {
  if (scoreMode === "dot") return rounded(product(query, key) * Number(scale));
  const parts = plus(query, key).map((value) => rounded(Math.tanh(rounded(value * Number(scale)))));
  return rounded(sum(parts) * Number(concatScoreWeight));
});

const additiveAttention = oneHead((query, key, _, { scale }) => {
  const parts = plus(query, key).map((value) => rounded(Math.tanh(value)));
  return scale === undefined ? sum(parts) : product(parts, vector(scale));
});

/** A row times `[features, heads, size]`, for each head. */
function projected(row: readonly number[], part: { readonly [name: string]: Nested }): number[][] {
  const [features, heads, size] = shapeOf(part.kernel);
  return Array.from({ length: heads }, (_, head) => {
    const kernel = Array.from(
      { length: features },
      (_, i) => Array.from({ length: size }, (_, j) => at(part.kernel, [i, head, j])),
    );
    const own = times(row, kernel);
    return part.bias === undefined ? own : plus(own, vector(list(part.bias)[head]));
  });
}

const multiHeadAttention = attentionLayer((inputs, sees, { keyDim }, params) => {
  const part = (name: string) => params[name] as unknown as { readonly [name: string]: Nested }; // its kernel and bias
  const [query, value, key] = (["query", "value", "key"] as const)
    .map((name, index) => matrix(inputs[index]).map((row) => projected(row, part(name))));
  const { kernel, bias } = part("output");
  const [heads, size, features] = shapeOf(kernel);
  return query.map((row, from) => {
    const seen = key.map((_, to) => sees(from, to));
    const together = row.flatMap((own, head) => {
      const scores = key.map((other, to) =>
        seen[to] ? rounded(product(own, other[head]) / Math.sqrt(Number(keyDim))) : 0
      );
      return meanOf(softmaxOf(scores, seen), value.map((step) => step[head]));
    });
    const flatKernel = Array.from(
      { length: heads * size },
      (_, i) => Array.from({ length: features }, (_, j) => at(kernel, [Math.floor(i / size), i % size, j])),
    );
    const own = times(together, flatKernel);
    return bias === undefined ? own : plus(own, vector(bias));
  });
}, false);

/** The vectors along an axis, and the sizes of the other axes. */
function vectorsAlong(x: Nested, axis: number): { readonly vectors: number[][]; readonly rest: number[] } {
  const shape = shapeOf(x);
  const along = axis < 0 ? axis + shape.length : axis - 1; // the batch is axis 0
  const rest = shape.filter((_, other) => other !== along);
  const vectors: number[][] = [];
  fill(rest, (index) => {
    vectors.push(Array.from({ length: shape[along] }, (_, i) => at(x, index.toSpliced(along, 0, i))));
    return 0;
  });
  return { vectors, rest };
}

const dot: Layer = ({ options: { axes, normalize } }, _, samples) =>
  samples.map((sample) => {
    const pair: readonly number[] = Array.isArray(axes) ? axes : [Number(axes), Number(axes)];
    const [a, b] = leavesOf(sample).map(({ x }, index) => {
      const { vectors, rest } = vectorsAlong(x, pair[index]);
      const scaled = (v: number[]) => {
        const length = rounded(Math.sqrt(Math.max(product(v, v), 1e-24)));
        return v.map((value) => rounded(value / length));
      };
      return { vectors: normalize ? vectors.map(scaled) : vectors, rest };
    });
    const numbers = a.vectors.flatMap((v) => b.vectors.map((w) => product(v, w)));
    const shape = [...a.rest, ...b.rest];
    return new Value(nest(numbers, shape.length === 0 ? [1] : shape));
  });

/** These layers, by the names of their factories. */
export const attentionLayers: { readonly [type: string]: Layer } = {
  additiveAttention,
  attention,
  dot,
  multiHeadAttention,
};
