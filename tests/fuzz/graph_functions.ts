/** The functions that graphs apply to nodes, for the library and for the interpreter. All keep the time axis. */
import * as cf from "@cellfold/cellfold";
import { list, mapNested, type Nested } from "./interpreter/nested.ts";

/** A function of nodes in both forms. The operations of the library are printed as such. */
export interface GraphFunctionPair {
  readonly library: (...args: cf.Tensor[]) => cf.Tensor;
  readonly interpreter: (...args: Nested[]) => Nested;
}

function joined(xs: readonly Nested[]): Nested {
  const [first] = xs;
  if (typeof list(first)[0] === "number") return xs.flatMap((x) => list(x));
  return list(first).map((_, index) => joined(xs.map((x) => list(x)[index])));
}

function beside(...xs: cf.Tensor[]): cf.Tensor {
  return cf.concat(xs);
}

function scaled(x: cf.Tensor): cf.Tensor {
  return cf.mul(x, 0.5);
}

function weighed(a: cf.Tensor, b: cf.Tensor): cf.Tensor {
  return cf.mul(cf.sigmoid(a), b);
}

/** Operations take numbers too, which nodes are not. */
type Library = GraphFunctionPair["library"];

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** All of them, by name; those of two arguments take two of one shape. */
export const graphFunctions: { readonly [name: string]: GraphFunctionPair } = {
  add: { library: cf.add as Library, interpreter: (a, b) => mapNested((a, b) => a + b, a, b) },
  sub: { library: cf.sub as Library, interpreter: (a, b) => mapNested((a, b) => a - b, a, b) },
  mul: { library: cf.mul as Library, interpreter: (a, b) => mapNested((a, b) => a * b, a, b) },
  maximum: { library: cf.maximum as Library, interpreter: (a, b) => mapNested(Math.max, a, b) },
  tanh: { library: cf.tanh as Library, interpreter: (x) => mapNested(Math.tanh, x) },
  weighed: { library: weighed, interpreter: (a, b) => mapNested((a, b) => sigmoid(a) * b, a, b) },
  beside: { library: beside as Library, interpreter: (...xs) => joined(xs) },
  scaled: { library: scaled, interpreter: (x) => mapNested((x) => x * 0.5, x) },
};
