/** Layers in sequence. */
import { checkLayer } from "../layers/checks.ts";
import { layerName, layerOptionNames, type LayerOptions } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import type { HostTensor, Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import { container } from "./container.ts";

/**
 * A layer that calls layers one after another; masks are passed along with the values.
 *
 * Params and state are arrays with one entry per layer, as in `params[0].kernel`; a layer without variables
 * has an empty one. With `trainable: false` every layer inside is frozen.
 *
 * @param layers At least one layer; each object once (use `model` to share a layer).
 * @throws RangeError if there are no layers, or two have the same name.
 * @throws TypeError when a layer cannot take its input, naming the layer and both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, sequential, spec } from "@cellfold/cellfold";
 * const layer = sequential([dense({ units: 8, activation: "relu" }), dense({ units: 1 })]);
 * const variables = init(layer, key(0), spec([null, 4]));
 * assertEquals(layer.trainableLeaves(variables.params).length, 4);
 * ```
 */
export function sequential<const Layers extends readonly Layer[]>(
  layers: Layers,
  options?: LayerOptions,
): Layer<
  Layers extends readonly [...unknown[], Layer<infer Output>] ? Output // of the last
    : Layers extends readonly Layer<infer Output>[] ? Output
    : Tree<Tensor>
>;
export function sequential(layers: readonly Layer[], options: LayerOptions = {}): Layer {
  checkOptions("sequential", options, layerOptionNames);
  const { name, trainable } = options;
  const self = layerName({ type: "sequential", name });
  if (!Array.isArray(layers) || layers.length === 0) {
    throw new RangeError(`Cannot make ${self}: it needs an array of one or more layers`);
  }
  layers = [...layers]; // a copy: the caller may change the list later
  const places = new Map<Layer, number>();
  layers.forEach((layer, index) => {
    checkLayer(`put entry ${index} into ${self}`, layer);
    const first = places.get(layer);
    places.set(layer, index);
    if (first === undefined) return;
    throw new RangeError(
      `Cannot make ${self}: the layers ${first} and ${index} are the same ${layerName(layer)}; ` +
        `make two, or share one with model(...)`,
    );
  });
  return container({
    type: "sequential",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    layers,
    options: {},
    walk: (input, mask, steps) => {
      let result = { output: input, mask };
      layers.forEach((_, index) => {
        result = steps.call(index, result.output, { mask: result.mask });
      });
      return result;
    },
    ...(layers[0].checkInput && { // if not, the first layer computes, and no other one gets known values
      checkInput: (input) => {
        let values: Tree<HostTensor> | void = input;
        for (const layer of layers) if (values) values = layer.checkInput?.(values);
        return values;
      },
    }),
    sequenceInputs: layers[0].sequenceInputs,
    batch: layers[0].batch,
    unbatched: unbatchedOf(layers),
    withLayers: (others) => sequential(others, options),
    named: (name) => sequential(layers, { ...options, name }),
  });
}

/** Why the batch cannot be cut before layers that all get it: the first reason of one of them. */
function unbatchedOf(layers: readonly Layer[]): Layer["unbatched"] {
  if (!layers.some(({ unbatched }) => unbatched)) return undefined;
  return () => {
    for (const layer of layers) {
      const reason = layer.unbatched?.();
      if (reason !== undefined) return `of ${layerName(layer)}, ${reason}`;
    }
    return undefined;
  };
}
