/** Recurrent layers that hand their mask on in the order that it has in Keras, where ours would reverse it. */
import { isRecurrentLayer, type Layer, type Mask, type RecurrentFlags } from "../../src/layers/mod.ts";
import { reverse } from "../../src/operations/structure.ts";
import { substitute } from "../../src/options/made.ts";
import { isTensor } from "../../src/tensor/tensor.ts";

const unordered = Symbol("keepsMaskOrder");

/**
 * The layer as Keras runs it inside a `Sequential`, and Keras 2 everywhere: a backwards layer outputs its steps in the order in which
 * they were computed, but passes on the mask in the order of its input. Any other layer is returned
 * unchanged.
 */
export function keepingMaskOrder<T extends Layer>(layer: T): T {
  if (!isRecurrentLayer(layer) || !layer.flags.goBackwards || !layer.flags.returnSequences) return layer;
  const asGiven = (mask: Mask): Mask =>
    Array.isArray(mask) ? mask.map(asGiven) : isTensor(mask) ? reverse(mask, 1) : mask;
  return {
    ...layer,
    apply: substitute((variables, input, context) => {
      const applied = layer.apply(variables, input, context);
      return { ...applied, mask: asGiven(applied.mask) };
    }),
    withFlags: substitute((changes: RecurrentFlags) => keepingMaskOrder(layer.withFlags(changes))),
    [unordered]: true,
  };
}

/** Whether a layer was made by {@linkcode keepingMaskOrder}. */
export function keepsMaskOrder(layer: Layer): boolean {
  return unordered in layer;
}
