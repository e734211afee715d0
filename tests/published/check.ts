/** Whether a published model computes here what it computes in its own framework, and whether it trains. */
import {
  add,
  cast,
  compile,
  type Device,
  type HostTensor,
  item,
  mean,
  mul,
  sub,
  sum,
  type Tensor,
  type Tree,
  valueAndGrad,
  type Variables,
} from "@cellfold/cellfold";
import { treeLeaves, zipLike } from "../../src/tree/tree.ts";
import type { Expected } from "./files.ts";
import type { ReadModel } from "./reader.ts";

/** The largest difference, relative to the largest magnitude expected. */
export const TOLERANCE = 1e-4;

/** Differences of models that are computed with whole numbers: one step of their quantization at every place. */
export const QUANTIZED_TOLERANCE = 5e-2;

/** What is no difference: the sigmoid of onnxruntime is one of numbers to 1.2e-7, which is much of a small probability. */
const ROUNDING = 2 ** -22;

/**
 * The largest difference of all outputs, each relative to its largest magnitude, and whether all are within the
 * tolerance; Infinity for NaN or another shape.
 */
export function differenceOf(
  actual: Readonly<Record<string, HostTensor>>,
  expected: Readonly<Record<string, HostTensor>>,
  tolerance: number,
): { readonly largest: number; readonly agrees: boolean } {
  let largest = 0, agrees = true;
  for (const [name, { data, shape }] of Object.entries(expected)) {
    const found = actual[name];
    if (found?.shape.join() !== shape.join()) return { largest: Infinity, agrees: false };
    const numbers = Array.from(data, Number);
    const scale = Math.max(1e-30, ...chunked(numbers));
    numbers.forEach((wanted, i) => {
      const off = Math.abs(Number(found.data[i]) - wanted);
      largest = Math.max(largest, Number.isNaN(off) ? Infinity : off / scale);
      agrees &&= off <= tolerance * scale + ROUNDING; // false for NaN
    });
  }
  return { largest, agrees };
}

/** The largest magnitudes of parts, as a call takes a bounded number of arguments. */
function chunked(numbers: readonly number[]): number[] {
  const most: number[] = [];
  for (let at = 0; at < numbers.length; at += 10000) {
    most.push(Math.max(...numbers.slice(at, at + 10000).map(Math.abs)));
  }
  return most;
}

/** A step of training: the loss before and after, and what its gradient promised. */
export interface Step {
  readonly before: number;
  readonly after: number;
  readonly promised: number;
}

/** How much of the loss a step is to take, by its gradient. */
export const SHARE = 0.001;

/** The same of models that round what they compute with: more than the rounding changes the loss by. */
export const QUANTIZED_SHARE = 0.05;

/** The squares of the outputs, moved by a half, as many of them are probabilities. */
function lossOf({ apply }: ReadModel) {
  return (params: Variables["params"], state: Variables["state"], inputs: Record<string, Tensor>): Tensor => {
    const floats = apply({ params, state }, inputs).filter(({ dtype }) => dtype === "float32");
    if (floats.length === 0) throw new RangeError("it has no output of floats");
    return floats.map((y) => sub(y, 0.5)).map((y) => mean(mul(y, y))).reduce((a, b) => add(a, b));
  };
}

/** How often a step is made smaller by a factor of 10, where the loss bends: that of saturated outputs does at once. */
const SMALLER = 3;

/** Follows the gradient of all weights together for a small step. */
export async function trainStep(
  model: ReadModel,
  expected: Expected,
  { device, share }: { readonly device: Device; readonly share: number },
): Promise<Step> {
  const loss = lossOf(model);
  const { params, state } = model.variables;
  const { inputs } = expected;
  using step = compile(valueAndGrad(loss), { device });
  const [value, gradient] = await step(params, state, inputs);
  const before = item(value as HostTensor);
  const squared = treeLeaves<Tensor>(gradient).map((g) =>
    item(sum(cast(mul(g, g), "float64")) as HostTensor)
  );
  const norm = squared.reduce((a, b) => a + b, 0);
  const along = async (part: number): Promise<Step> => {
    const rate = norm === 0 ? 0 : part * before / norm;
    const moved = zipLike(
      params as Tree<Tensor>,
      gradient as Tree<Tensor>,
      (w: Tensor, g: Tensor) => sub(w, mul(g, rate)),
    );
    const [after] = await step(moved as typeof params, state, inputs);
    return { before, after: item(after as HostTensor), promised: rate * norm };
  };
  let made = await along(share);
  for (let times = 0; times < SMALLER && !(made.after < before); times++) {
    made = await along(share * 10 ** -(times + 1));
  }
  return made;
}
