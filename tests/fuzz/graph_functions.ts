/** The functions that graphs apply to nodes, for the library and for the interpreter. All keep the time axis. */
import * as cf from "@cellfold/cellfold";
import { list, mapNested, type Nested } from "./interpreter/nested.ts";

/** A function of nodes in both forms, and its text in a printed program. */
export interface GraphFunctionPair {
  readonly library: (...args: cf.Tensor[]) => cf.Tensor;
  readonly interpreter: (...args: Nested[]) => Nested;
}

function joined(xs: readonly Nested[]): Nested {
  const [first] = xs;
  if (typeof list(first)[0] === "number") return xs.flatMap((x) => list(x));
  return list(first).map((_, index) => joined(xs.map((x) => list(x)[index])));
}

function sumOf(a: cf.Tensor, b: cf.Tensor): cf.Tensor {
  return cf.add(a, b);
}

function productOf(a: cf.Tensor, b: cf.Tensor): cf.Tensor {
  return cf.mul(a, b);
}

function beside(...xs: cf.Tensor[]): cf.Tensor {
  return cf.concat(xs);
}

function scaled(x: cf.Tensor): cf.Tensor {
  return cf.mul(x, 0.5);
}

function squashed(x: cf.Tensor): cf.Tensor {
  return cf.tanh(x);
}

function weighed(a: cf.Tensor, b: cf.Tensor): cf.Tensor {
  return cf.mul(cf.sigmoid(a), b);
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** All of them, by name; those of two arguments take two of one shape. */
export const graphFunctions: { readonly [name: string]: GraphFunctionPair } = {
  sumOf: { library: sumOf, interpreter: (a, b) => mapNested((a, b) => a + b, a, b) },
  productOf: { library: productOf, interpreter: (a, b) => mapNested((a, b) => a * b, a, b) },
  weighed: { library: weighed, interpreter: (a, b) => mapNested((a, b) => sigmoid(a) * b, a, b) },
  beside: { library: beside as GraphFunctionPair["library"], interpreter: (...xs) => joined(xs) },
  scaled: { library: scaled, interpreter: (x) => mapNested((x) => x * 0.5, x) },
  squashed: { library: squashed, interpreter: (x) => mapNested(Math.tanh, x) },
};
