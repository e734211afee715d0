/** Feeds sequences to streams in chunks of random sizes. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import type { Layer, Stream, Tensor, Tree, Variables } from "@cellfold/cellfold";
import { single } from "./helpers.ts";

/** Small whole numbers drawn from a seed. */
export function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 1103515245 + 12345) % 2147483648) % below;
}

/** The output of pushes and steps of random sizes, joined along time; of an output without time the last. */
export async function streamed(
  stream: Stream,
  x: Tree<Tensor>,
  steps: number,
  draw: (n: number) => number,
  joins = true,
) {
  const outputs: Tensor[] = [];
  for (let at = 0; at < steps;) {
    if (draw(3) === 0) {
      const step = at++;
      const y = single(await stream.step(cf.mapTree(x, (x: Tensor) => cf.at(x, step, { axis: 1 }))));
      outputs.push(joins ? cf.expandDims(y, 1) : y);
      continue;
    }
    const size = 1 + draw(Math.min(4, steps - at));
    outputs.push(single(await stream.push(cf.mapTree(x, (x: Tensor) => internal.sliceAxis(x, 1, at, size)))));
    at += size;
  }
  return joins ? cf.concat(outputs, { axis: 1 }) : outputs[outputs.length - 1];
}

export const predict = async (layer: Layer, variables: Variables, x: Tree<Tensor>) =>
  single(await cf.predict(layer, variables, x, { device: "wasm" }) as Tree<Tensor>);
