/** Small models and data for the tests of training. */
import { defineLayer } from "../../src/layers/define.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { dense } from "../../src/layers/dense.ts";
import { key as randomKey } from "../../src/operations/random.ts";
import { foldIn } from "../../src/operations/random.ts";
import { type HostTensor, spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, type Tree } from "../../src/tree/tree.ts";

/** Layers one after the other; params and state are lists. */
export function chain(...layers: readonly Layer[]): Layer {
  const part = (tree: Tree<Tensor>, index: number) => (tree as readonly Tree<Tensor>[])[index]; // a list, see below
  return defineLayer({
    type: "chain",
    options: {},
    layers,
    initParams: () => {
      throw new Error("the tests give params themselves");
    },
    trainableLeaves: (params) => layers.flatMap((layer, index) => layer.trainableLeaves(part(params, index))),
    apply({ params, state }, input, context) {
      const states: Tree<Tensor>[] = [];
      let [output, mask] = [input, context.mask];
      layers.forEach((layer, index) => {
        const variables = { params: part(params, index), state: part(state, index) };
        const key = context.key && foldIn(context.key, index);
        const applied = layer.apply(variables, output, { ...context, key, mask });
        states.push(applied.state);
        ({ output, mask } = applied);
      });
      return { output, state: states, mask };
    },
  });
}

/** A layer from a function of its input, without params. */
export function lambda<Output>(fn: (x: Tree<Tensor>) => Output): Layer<Output> {
  return defineLayer({
    type: "lambda",
    options: {},
    initParams: () => [],
    apply: (variables, x) => ({ output: fn(x), state: variables.state }),
  });
}

/** Variables of a `dense({ units })` over `features`. */
export function denseVariables(features: number, units: number, seed = 0): Variables {
  return { params: dense({ units }).initParams(randomKey(seed), spec([null, features])), state: [] };
}

/** The values of all leaves, in order. */
export function valuesOf(tree: unknown): number[] {
  return flattenTree<HostTensor>(tree).leaves.flatMap(({ data }) => [...data]);
}

/** `y = 2x + 1` for x = 0, 0.1, 0.2… */
export function line(samples: number): { x: HostTensor; y: HostTensor } {
  const values = Array.from({ length: samples }, (_, index) => index / 10);
  return { x: tensor(values.map((x) => [x])), y: tensor(values.map((x) => [2 * x + 1])) };
}
