/** Layers that add zeros around the spatial axes of their input, or cut elements off. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { pad, slice } from "../operations/structure.ts";
import { quoted } from "../quoted.ts";
import { printShape, subtractDims } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { plainLayer, spatialInput } from "./plain.ts";

/** How many elements before and after those of an axis. */
export type Sides = readonly [low: number, high: number];

/** Options of {@linkcode zeroPadding1d}. */
export interface ZeroPadding1dOptions extends LayerOptions {
  /** How many zeros: the same number on both sides, or `[before, after]`; default 1. */
  readonly padding?: number | Sides;
}

/** Options of {@linkcode zeroPadding2d} and {@linkcode zeroPadding3d}. */
export interface ZeroPaddingOptions extends LayerOptions {
  /** How many zeros: the same number everywhere, or for each axis a number or `[before, after]`; default 1. */
  readonly padding?: number | readonly (number | Sides)[];
}

/** Options of {@linkcode cropping1d}. */
export interface Cropping1dOptions extends LayerOptions {
  /** How many elements are cut off: the same number on both sides, or `[before, after]`; default 1. */
  readonly cropping?: number | Sides;
}

/** Options of {@linkcode cropping2d} and {@linkcode cropping3d}. */
export interface CroppingOptions extends LayerOptions {
  /** How many elements are cut off: the same number everywhere, or for each axis a number or `[before, after]`. */
  readonly cropping: number | readonly (number | Sides)[];
}

type Amounts = number | Sides | readonly (number | Sides)[];

/** The amounts of each axis. */
function sidesOf(owner: string, option: string, value: Amounts, axes: number): Sides[] {
  const perAxis: readonly unknown[] = typeof value === "number"
    ? new Array(axes).fill(value)
    : axes === 1
    ? [value]
    : Array.isArray(value)
    ? value
    : [];
  const sides = perAxis.map((sides): unknown => typeof sides === "number" ? [sides, sides] : sides);
  const isPair = (sides: unknown): sides is Sides => Array.isArray(sides) && sides.length === 2;
  if (sides.length !== axes || !sides.every(isPair)) {
    throw new RangeError(
      `Cannot make ${owner}: ${option} is ${quoted(value)}, expected a number` +
        (axes === 1 ? " or [before, after]" : `, or for each of ${axes} axes a number or [before, after]`),
    );
  }
  for (const amount of sides.flat()) checkCount(`make ${owner}`, amount, option, 0);
  return sides;
}

type Named<Options> = (options: Options) => Layer<Tensor>;

function zeroPadding<Options extends LayerOptions & { readonly padding?: Amounts }>(
  type: string,
  axes: number,
  options: Options,
  make: Named<Options>,
): Layer<Tensor> {
  checkOptions(type, options, ["padding", ...layerOptionNames]);
  const sides = sidesOf(layerName({ type, name: options.name }), "padding", options.padding ?? 1, axes);
  return plainLayer({
    type,
    options: { padding: axes === 1 ? sides[0] : sides },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: false }),
    compute: (x) =>
      pad(x, { low: [0, ...sides.map(([low]) => low), 0], high: [0, ...sides.map(([, high]) => high), 0] }),
  });
}

function cropping<Options extends LayerOptions & { readonly cropping?: Amounts }>(
  type: string,
  axes: number,
  options: Options,
  make: Named<Options>,
): Layer<Tensor> {
  checkOptions(type, options, ["cropping", ...layerOptionNames]);
  const layer = layerName({ type, name: options.name });
  const sides = sidesOf(layer, "cropping", options.cropping ?? 1, axes);
  const cut = [[0, 0], ...sides, [0, 0]];
  return plainLayer({
    type,
    options: { cropping: axes === 1 ? sides[0] : sides },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: false }),
    compute: (x) => {
      const size = x.shape.map((dim, axis) => subtractDims(dim, cut[axis][0] + cut[axis][1]));
      if (size.some((dim) => typeof dim === "number" && dim < 1)) {
        throw new RangeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: nothing is left if ${
            quoted(sides)
          } is cut off`,
        );
      }
      return slice(x, { start: cut.map(([low]) => low), size });
    },
  });
}

/**
 * Adds steps of zeros before and after a sequence: `[batch, steps, channels]` to
 * `[batch, before + steps + after, channels]`. A mask is dropped.
 *
 * @throws RangeError for an unknown option or amounts that are no counts; TypeError for an input with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested, zeroPadding1d } from "@cellfold/cellfold";
 * const layer = zeroPadding1d({ padding: [2, 0] });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[[5], [6]]]), { training: false });
 * assertEquals(toNested(output), [[[0], [0], [5], [6]]]);
 * ```
 */
export function zeroPadding1d(options: ZeroPadding1dOptions = {}): Layer<Tensor> {
  return zeroPadding("zeroPadding1d", 1, options, zeroPadding1d);
}

/** Adds zeros around `[batch, height, width, channels]`; see {@linkcode zeroPadding1d}. */
export function zeroPadding2d(options: ZeroPaddingOptions = {}): Layer<Tensor> {
  return zeroPadding("zeroPadding2d", 2, options, zeroPadding2d);
}

/** Adds zeros around `[batch, depth, height, width, channels]`; see {@linkcode zeroPadding1d}. */
export function zeroPadding3d(options: ZeroPaddingOptions = {}): Layer<Tensor> {
  return zeroPadding("zeroPadding3d", 3, options, zeroPadding3d);
}

/**
 * Cuts steps off at the beginning and the end of a sequence: `[batch, steps, channels]` to
 * `[batch, steps - before - after, channels]`. A mask is dropped.
 *
 * @throws RangeError for an unknown option, amounts that are no counts, or if nothing is left; TypeError for an input
 *   with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { cropping1d, tensor, toNested } from "@cellfold/cellfold";
 * const layer = cropping1d({ cropping: [0, 2] });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[[5], [6], [7]]]), { training: false });
 * assertEquals(toNested(output), [[[5]]]);
 * ```
 */
export function cropping1d(options: Cropping1dOptions = {}): Layer<Tensor> {
  return cropping("cropping1d", 1, options, cropping1d);
}

/** Cuts elements off around `[batch, height, width, channels]`; see {@linkcode cropping1d}. */
export function cropping2d(options: CroppingOptions): Layer<Tensor> {
  return cropping("cropping2d", 2, options, cropping2d);
}

/** Cuts elements off around `[batch, depth, height, width, channels]`; see {@linkcode cropping1d}. */
export function cropping3d(options: CroppingOptions): Layer<Tensor> {
  return cropping("cropping3d", 3, options, cropping3d);
}
