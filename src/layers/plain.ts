/**
 * Layers without variables that compute one tensor from one: what they have in common. And the check of an input with
 * spatial axes.
 */
import type { Json } from "../options/json.ts";
import { quoted } from "../quoted.ts";
import { printShape } from "../tensor/dims.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { floatInput, oneInput, oneMask } from "./checks.ts";
import { defineLayer, layerName, type LayerOptions } from "./define.ts";
import type { ApplyContext, Layer } from "./layer.ts";
import { endedMask } from "./sequence.ts";

/** What is specific to a layer without variables. */
export interface PlainLayer {
  readonly type: string;
  /** The name of its factory, if it is not the type. */
  readonly factory?: string;
  /** The options as they are saved. */
  readonly options: { readonly [key: string]: Json };
  /** The options that every layer takes, as they were given. */
  readonly given: LayerOptions;
  /** Makes the same layer with another name. */
  named(name: string | undefined): Layer<Tensor>;
  /** The input, after a check; throws naming the layer. */
  check(layer: string, input: unknown): Tensor;
  compute(x: Tensor, context: ApplyContext, mask: Tensor | undefined): Tensor;
  /** Whether the steps of the output are those of the input, so that its mask is passed on; default false. */
  readonly keepsSteps?: boolean;
}

/** The layer of a {@linkcode PlainLayer}. */
export function plainLayer(plain: PlainLayer): Layer<Tensor> {
  const { type, factory, options, given, keepsSteps = false } = plain;
  const { name, trainable } = given;
  const layer = layerName({ type, name });
  return defineLayer({
    type,
    name,
    trainable,
    activityRegularizer: given.activityRegularizer,
    options,
    factory,
    named: (name) => plain.named(name),
    initParams: () => [],
    apply: ({ state }, input, context) => {
      const x = plain.check(layer, input);
      const mask = oneMask(layer, context.mask);
      const output = plain.compute(x, context, mask);
      return { output, state, mask: keepsSteps ? mask : endedMask(mask, context) };
    },
  });
}

/** The option `axis` of a layer that takes an axis or several: as it is saved, and as a list. */
export function axesOption(
  layer: string,
  given: number | readonly number[],
): { readonly axis: number | readonly number[]; readonly axes: readonly number[] } {
  const axis = Array.isArray(given) ? [...given] : given; // the caller may change the original list
  const axes: readonly number[] = [axis].flat();
  if (axes.length > 0 && axes.every(Number.isInteger)) return { axis, axes };
  throw new RangeError(`Cannot make ${layer}: axis is ${quoted(axis)}, expected an axis or a list of them`);
}

/** The one tensor of a layer that takes floats of any shape with a batch. */
export function anyFloats(layer: string, input: unknown): Tensor {
  return floatInput<Tensor>(layer, input, 1);
}

/** Throws a TypeError unless the input has the axes with these names. */
export function checkAxes(layer: string, { shape }: Spec, names: readonly string[]): void {
  if (shape.length === names.length) return;
  throw new TypeError(
    `Cannot use ${layer} with an input of shape ${printShape(shape)}: expected ${names.length} axes, ` +
      `[${names.join(", ")}]`,
  );
}

/** What the axes of an input with so many spatial axes are called. */
export function spatialNames(axes: number): readonly string[] {
  return ["batch", ...(axes === 1 ? ["steps"] : ["depth", "height", "width"].slice(3 - axes)), "channels"];
}

/** The check of a layer that takes the axes with these names; with `floats`, only floats. */
export function namedAxes(
  names: readonly string[],
  { floats }: { readonly floats: boolean },
): PlainLayer["check"] {
  return (layer, input) => {
    const x = floats ? floatInput<Tensor>(layer, input, 1) : oneInput<Tensor>(layer, input);
    checkAxes(layer, x, names);
    return x;
  };
}

/** The same for `[batch, ...spatial, channels]`. */
export function spatialInput(axes: number, options: { readonly floats: boolean }): PlainLayer["check"] {
  return namedAxes(spatialNames(axes), options);
}
