/**
 * The layer that merges several tensors into one: a sum, a product, a concatenation and so on. Unlike a
 * function applied in a graph it is pure data, and masked values do not affect a maximum, a minimum or a
 * product.
 */
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { add, cast, maximum, minimum, mul, or, select, sub } from "../operations/elementwise.ts";
import { broadcastTo, concat } from "../operations/structure.ts";
import { resolveAxis } from "../operations/axes.ts";
import { ones } from "../operations/creation.ts";
import { isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { treeLeaves } from "../tree/tree.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { masksOfLeaves } from "./masks.ts";
import { commonMask, widenedMask } from "./sequence.ts";

/** How several inputs are merged into one. */
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
  /** The merge method. */
  readonly method: MergeMethod;
  /** For `concatenate`: the axis, which may not be the batch; default -1, the last. */
  readonly axis?: number;
  /**
   * Which steps of the result count: those that count in `all` inputs (default), where an input without a
   * mask counts everywhere; or in `any`, Keras's rule, by which an input without a mask leaves the result
   * without one.
   */
  readonly counts?: "all" | "any";
}

type Masks = readonly (Tensor | undefined)[];

/** An input with its mask, `[batch, time]` plus axes of size 1 up to the rank of the input. */
interface Masked {
  readonly x: Tensor;
  readonly mask: Tensor | undefined;
}

const sum = (inputs: readonly Masked[]) => inputs.map(({ x }) => x).reduce((a, b) => add(a, b));

/** If one of two is masked, the other is taken: no single number is neutral for a maximum. */
function extreme(inputs: readonly Masked[], of: (a: Tensor, b: Tensor) => Tensor): Tensor {
  return inputs.reduce((before, next) => {
    const x = next.mask ? select(next.mask, next.x, before.x) : next.x;
    const output = before.mask ? select(before.mask, before.x, x) : before.x;
    return { x: of(output, x), mask: before.mask && next.mask && or(before.mask, next.mask) };
  }).x;
}

/** Masked values count as 1; if everything is masked the product is 0. */
function product(inputs: readonly Masked[]): Tensor {
  const whole = inputs.map(({ x, mask }) => mask ? select(mask, x, 1) : x).reduce((a, b) => mul(a, b));
  const mask = rules.any(inputs.map(({ mask }) => mask));
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

/** All methods. */
export const mergeMethods: readonly MergeMethod[] = [...Object.keys(methods), "concatenate"] as MergeMethod[]; // keys of the table

/** Which steps count, given several masks. */
const rules: Readonly<Record<NonNullable<MergeOptions["counts"]>, (masks: Masks) => Tensor | undefined>> = {
  all: commonMask,
  any: (masks) => {
    const present = masks.filter((mask) => mask !== undefined);
    return present.length === masks.length ? present.reduce((a, b) => or(a, b)) : undefined;
  },
};

/**
 * A layer that merges a list of tensors into one. (Keras's `Add`, `Subtract`, `Multiply`, `Average`,
 * `Maximum`, `Minimum` and `Concatenate`.)
 *
 * Input: a list of two or more float tensors of the same rank whose shapes broadcast (`subtract` takes two);
 * for `concatenate`, tensors that differ only along `axis`. No params, no state. A step of the result counts
 * if it counts in all inputs, or as `counts` says; `concatenate` along time also concatenates the masks. A
 * masked step has no effect on `maximum`, `minimum` and `multiply`.
 *
 * @throws RangeError for an unknown method or option, TypeError when the inputs do not fit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { call, dense, input, merge, model } from "@cellfold/cellfold";
 * const [left, right] = [input([4], { name: "left" }), input([3], { name: "right" })];
 * const both = call(merge({ method: "concatenate" }), [left, right]);
 * assertEquals(both.shape[1], 7);
 * assertEquals(model({ inputs: { left, right }, outputs: call(dense({ units: 2 }), both) }).layers?.length, 2);
 * ```
 */
export function merge(options: MergeOptions): Layer<Tensor> {
  checkOptions("merge", options, ["method", "axis", "counts", ...layerOptionNames]);
  const { method, axis = -1, counts = "all", name, trainable } = options;
  const layer = layerName({ type: "merge", name });
  if (!mergeMethods.includes(method)) throw unknownName("method", method, mergeMethods);
  if (typeof counts !== "string" || !Object.hasOwn(rules, counts)) {
    throw unknownName("counts", counts, Object.keys(rules));
  }
  if (!Number.isInteger(axis) || (options.axis !== undefined && method !== "concatenate")) {
    throw new RangeError(
      `Cannot make ${layer}: axis is ${quoted(axis)}, expected a whole number, with "concatenate" alone`,
    );
  }
  return defineLayer({
    type: "merge",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    named: (name) => merge({ ...options, name }),
    options: { method, ...(method === "concatenate" ? { axis } : {}), counts },
    initParams: () => [],
    apply: ({ state }, input, { mask: given }) => {
      const tensors = tensorsOf(layer, method, input);
      const masks = masksOfLeaves(input, given);
      if (method !== "concatenate") {
        const inputs = tensors.map((x, index): Masked => ({
          x,
          mask: masks[index] && widenedMask(masks[index], x),
        }));
        return { output: methods[method](inputs), state, mask: rules[counts](masks) };
      }
      const at = resolveAxis(axis, tensors[0].shape.length, "concatenate");
      if (at === 0) throw new TypeError(`Cannot use ${layer}: axis ${axis} is the batch, which stays apart`);
      const rank = Math.max(...masks.map((mask) => mask?.shape.length ?? 0)); // masks of rows alone have no axis 1
      const mask = at < rank ? joinedMask(tensors, masks, { rank, axis: at }) : rules[counts](masks);
      return { output: concat(tensors, { axis: at }), state, mask };
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

/** The masks, of at most `rank` axes, for inputs joined along one of these. */
function joinedMask(
  tensors: readonly Tensor[],
  masks: Masks,
  { rank, axis }: { readonly rank: number; readonly axis: number },
): Tensor {
  const whole = tensors.map(({ shape }, index) => {
    const all = cast(ones(shape.slice(0, rank)), "bool");
    const mask = masks[index];
    return mask ? broadcastTo(widenedMask(mask, all), all.shape) : all;
  });
  return concat(whole, { axis });
}
