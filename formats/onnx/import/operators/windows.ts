/** What operators with a window have in common: their attributes, and channels that come before space. */
import type { Dim } from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import type { ExplicitPadding } from "../../../../src/operations/windows.ts";
import { attribute, type Node } from "../node.ts";
import { type OnnxValue, permuted, tensorOf, valueOf } from "../values.ts";

/** The attributes that say how a window moves. */
export const windowAttributes: readonly string[] = [
  "auto_pad",
  "dilations",
  "kernel_shape",
  "pads",
  "strides",
];

/** `[batch, channels, ...space]` as `[batch, ...space, channels]`. */
export function channelsLast(value: OnnxValue): Tensor {
  const x = value.kind === "sizes" ? undefined : value;
  const rank = x?.axes.length ?? 0;
  if (!x || rank < 3) {
    throw new TypeError(`it takes ${printSpec(tensorOf(value))}, expected batch, channels and space`);
  }
  return tensorOf(permuted(x, [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1]));
}

/** The reverse. The axes are moved where they are read, so that operators in a row need no transposition. */
export function channelsFirst(x: Tensor): OnnxValue {
  const rank = x.shape.length;
  return permuted(valueOf(x), [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 1)]);
}

/** Whole numbers, one for each of these axes. */
export function perAxis(node: Node, name: string, axes: number): readonly number[] | undefined {
  const list = attribute(node, name, "ints");
  if (list === undefined || list.length === axes) return list;
  throw new RangeError(`its ${name} are ${list.length} numbers, expected ${axes}`);
}

/** How a window moves. */
export interface NodeWindow {
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  /** `auto_pad`, if that is to be computed. */
  readonly same: "upper" | "lower" | undefined;
  /** `pads`, or none. */
  readonly pads: ExplicitPadding;
}

/** How the window of a node moves over this many axes. */
export function windowOf(node: Node, axes: number): NodeWindow {
  const ones = Array.from({ length: axes }, () => 1);
  const auto = attribute(node, "auto_pad", "string") ?? "NOTSET";
  const same = auto === "SAME_UPPER" ? "upper" : auto === "SAME_LOWER" ? "lower" : undefined;
  if (!same && auto !== "NOTSET" && auto !== "VALID") {
    throw new RangeError(`its auto_pad is ${auto}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER`);
  }
  const pads = attribute(node, "pads", "ints") ?? [];
  if (pads.length > 0 && auto === "NOTSET" && pads.length !== 2 * axes) {
    throw new RangeError(`its pads are ${pads.length} numbers, expected ${2 * axes}`);
  }
  const given = auto === "NOTSET" && pads.length > 0;
  return {
    strides: perAxis(node, "strides", axes) ?? ones,
    dilation: perAxis(node, "dilations", axes) ?? ones,
    same,
    pads: {
      low: given ? pads.slice(0, axes) : ones.map(() => 0),
      high: given ? pads.slice(axes) : ones.map(() => 0),
    },
  };
}

/** The padding of a window: `same` of this library puts the odd element after, as SAME_UPPER does. */
export function paddingOf(
  { same, pads, strides, dilation }: NodeWindow,
  space: readonly Dim[],
  window: readonly number[],
): "same" | ExplicitPadding {
  if (same === undefined) return pads;
  if (same === "upper") return "same";
  const totals = space.map((size, axis) => {
    const span = (window[axis] - 1) * dilation[axis] + 1, stride = strides[axis];
    if (stride === 1) return span - 1;
    if (typeof size !== "number") {
      throw new RangeError(
        `its auto_pad is SAME_LOWER with a stride of ${stride}, which needs a fixed size, not ${size}`,
      );
    }
    return Math.max((Math.ceil(size / stride) - 1) * stride + span - size, 0);
  });
  return {
    low: totals.map((total) => Math.ceil(total / 2)),
    high: totals.map((total) => Math.floor(total / 2)),
  };
}

/** Throws if `kernel_shape` says something else. */
export function checkKernelShape(node: Node, window: readonly Dim[]): void {
  const stated = perAxis(node, "kernel_shape", window.length);
  if (stated === undefined || stated.every((size, axis) => size === window[axis])) return;
  throw new RangeError(`its kernel_shape is [${stated}], but its kernel has [${window}]`);
}
