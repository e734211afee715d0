/**
 * What Keras has as layers of several inputs (`Add`, `Concatenate` and so on), as layers of ours: masks go through them
 * by Keras's rules, which a function applied by `apply` has none of.
 */
import { checkOptions, unknownName } from "../../src/nearest.ts";
import { defineLayer, type Layer, layerName, type LayerOptions } from "../../src/layers/mod.ts";
import type { LayerReviver } from "../../src/layers/define.ts";
import { masksOfLeaves } from "../../src/layers/masks.ts";
import { add, cast, maximum, minimum, mul, or, select, sub } from "../../src/operations/elementwise.ts";
import { concat, ones, reshape, resolveAxis } from "../../src/operations/structure.ts";
import { isTensor, printSpec, type Tensor } from "../../src/tensor/tensor.ts";
import { treeLeaves } from "../../src/tree/tree.ts";

/** How several inputs become one. */
export type MergeMethod =
  | "add"
  | "subtract"
  | "multiply"
  | "average"
  | "maximum"
  | "minimum"
  | "concatenate";

/** Options of {@linkcode merge}. */
export interface MergeOptions extends LayerOptions {
  /** How. */
  readonly method: MergeMethod;
  /** Of `concatenate`: along which axis, not the batch; default -1, the last. */
  readonly axis?: number;
}

/** An input with its mask, `[batch, time]` and as many axes of size 1 as the input has more. */
interface Masked {
  readonly x: Tensor;
  readonly mask: Tensor | undefined;
}

const sum = (inputs: readonly Masked[]) => inputs.map(({ x }) => x).reduce((a, b) => add(a, b));

/** Where one of two is masked, the other is taken: there is no number that a maximum leaves as it is. */
function extreme(inputs: readonly Masked[], of: (a: Tensor, b: Tensor) => Tensor): Tensor {
  return inputs.reduce((before, next) => {
    const x = next.mask ? select(next.mask, next.x, before.x) : next.x;
    const output = before.mask ? select(before.mask, before.x, x) : before.x;
    return { x: of(output, x), mask: before.mask && next.mask && or(before.mask, next.mask) };
  }).x;
}

/** What is masked counts as 1; where everything is masked the product is 0. */
function product(inputs: readonly Masked[]): Tensor {
  const whole = inputs.map(({ x, mask }) => mask ? select(mask, x, 1) : x).reduce((a, b) => mul(a, b));
  const mask = anyOf(inputs.map(({ mask }) => mask));
  return mask ? select(mask, whole, 0) : whole;
}

const methods: Readonly<Record<Exclude<MergeMethod, "concatenate">, (inputs: readonly Masked[]) => Tensor>> =
  {
    add: sum,
    subtract: ([a, b]) => sub(a.x, b.x),
    multiply: product,
    average: (inputs) => mul(sum(inputs), 1 / inputs.length),
    maximum: (inputs) => extreme(inputs, maximum),
    minimum: (inputs) => extreme(inputs, minimum),
  };

/** All methods, by the class that Keras has for each. */
export const mergeClasses: Readonly<Record<string, MergeMethod>> = {
  Add: "add",
  Subtract: "subtract",
  Multiply: "multiply",
  Average: "average",
  Maximum: "maximum",
  Minimum: "minimum",
  Concatenate: "concatenate",
};

/**
 * A layer that makes one tensor of a list of them: Keras's `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`,
 * `Minimum` and `Concatenate`.
 *
 * Input: a list of two or more float tensors of one rank, whose shapes broadcast (`subtract` takes two); of
 * `concatenate`, those that differ along `axis` alone. No params, no state. Masks `[batch, time]`: where every input has
 * one, a step of the result counts if it counts in any of them; with `concatenate` along time, the masks are put
 * together too. A masked step has no part in `maximum`, `minimum` and `multiply`; in the others it has.
 *
 * @throws RangeError for an unknown method or option, TypeError when it is used with inputs that do not fit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { call, dense, input, model } from "@cellfold/cellfold";
 * import { merge } from "@cellfold/cellfold/keras";
 * const [left, right] = [input([4], { name: "left" }), input([3], { name: "right" })];
 * const both = call(merge({ method: "concatenate" }), [left, right]);
 * assertEquals(both.shape[1], 7);
 * assertEquals(model({ inputs: { left, right }, outputs: call(dense({ units: 2 }), both) }).layers?.length, 2);
 * ```
 */
export function merge(options: MergeOptions): Layer {
  checkOptions("merge", options, ["method", "axis", "name", "trainable"]);
  const { method, axis = -1, name, trainable } = options;
  const layer = layerName({ type: "merge", name });
  if (!Object.values(mergeClasses).includes(method)) {
    throw unknownName("method", String(method), Object.values(mergeClasses));
  }
  if (!Number.isInteger(axis) || (options.axis !== undefined && method !== "concatenate")) {
    throw new RangeError(
      `Cannot make ${layer}: axis is ${String(axis)}, expected a whole number, with "concatenate" alone`,
    );
  }
  return defineLayer({
    type: "merge",
    name,
    trainable,
    options: method === "concatenate" ? { method, axis } : { method },
    initParams: () => [],
    apply: ({ state }, input, { mask }) => {
      const tensors = tensorsOf(layer, method, input);
      const masks = masksOfLeaves(input, mask);
      if (method !== "concatenate") {
        const inputs = tensors.map((x, index): Masked => ({ x, mask: widened(masks[index], x) }));
        return { output: methods[method](inputs), state, mask: anyOf(masks) };
      }
      const at = resolveAxis(axis, tensors[0].shape.length, "concatenate");
      if (at === 0) throw new TypeError(`Cannot use ${layer}: axis ${axis} is the batch, which stays apart`);
      return { output: concat(tensors, { axis: at }), state, mask: maskOfConcat(tensors, masks, at) };
    },
  });
}

function tensorsOf(layer: string, method: MergeMethod, input: unknown): Tensor[] {
  const tensors = treeLeaves<Tensor>(input);
  const fits = Array.isArray(input) && tensors.length >= 2 && tensors.length === input.length &&
    (method !== "subtract" || tensors.length === 2) && tensors.every(isTensor) &&
    tensors.every(({ shape, dtype }) =>
      shape.length === tensors[0].shape.length && dtype === tensors[0].dtype
    );
  if (fits) return tensors;
  throw new TypeError(
    `Cannot use ${layer} (${method}) with [${tensors.map(printSpec).join(", ")}]: expected a list of ` +
      `${method === "subtract" ? "two" : "two or more"} tensors of one rank and dtype`,
  );
}

function widened(mask: Tensor | undefined, x: Tensor): Tensor | undefined {
  return mask && reshape(mask, [...mask.shape, ...x.shape.slice(mask.shape.length).map(() => 1)]);
}

/** Keras's rule: with an input that has no mask every step counts. */
function anyOf(masks: readonly (Tensor | undefined)[]): Tensor | undefined {
  const present = masks.filter((mask) => mask !== undefined);
  return present.length === masks.length ? present.reduce((a, b) => or(a, b)) : undefined;
}

function maskOfConcat(
  tensors: readonly Tensor[],
  masks: readonly (Tensor | undefined)[],
  axis: number,
): Tensor | undefined {
  if (axis > 1 || masks.every((mask) => mask === undefined)) return anyOf(masks);
  const whole = masks.map((mask, index) => mask ?? cast(ones(tensors[index].shape.slice(0, 2)), "bool"));
  return cast(concat(whole.map((mask) => cast(mask, "int32")), { axis: 1 }), "bool");
}

/**
 * The layers that {@linkcode fromKeras} may put into a model and the core does not know, for the core's `fromJson`:
 * `fromJson(json, { layers: kerasLayers })`.
 */
export const kerasLayers: { readonly [type: string]: LayerReviver } = {
  merge: (options) => merge(options as unknown as MergeOptions), // checked by the factory
};
