/** What TensorFlow.js cannot compute as we do is refused before anything is written. */
import { isRecurrentLayer, type Layer, layerName } from "../../src/layers/mod.ts";
import { isTokenCast, stepsOf } from "../keras/graph_order.ts";
import { keepsMaskOrder } from "../keras/mask_order.ts";

function refuse(reason: string): never {
  throw new TypeError(`Cannot write the model.json: ${reason}`);
}

/** All layers of a model, those inside others too. */
function allOf(layer: Layer): readonly Layer[] {
  return [layer, ...(layer.layers ?? []).flatMap(allOf)];
}

/**
 * Throws for a graph with functions, masks or resets given to calls, and for masks that TensorFlow.js would
 * not hand on as we do.
 */
export function checkForTfjs(model: Layer): void {
  const layers = allOf(model);
  for (const layer of layers) {
    if (layer.type === "sequential" && layer !== model) {
      refuse(
        `${layerName(layer)} is a sequential inside another layer, which TensorFlow.js cannot build without a shape; ` +
          "put its layers into the model, or make it with model(...)",
      );
    }
    if (layer.type !== "model") continue;
    for (const step of stepsOf(layer)) {
      if (step.function !== undefined && !isTokenCast(step)) {
        refuse(`${layerName(layer)} applies the function ${step.function}, and TensorFlow.js has layers alone; use merge(...)`);
      }
      if (step.mask !== undefined || step.resets !== undefined) {
        refuse(`a call in ${layerName(layer)} is given a mask or resets, which no call in TensorFlow.js takes`);
      }
      if (step.initialState !== undefined) {
        refuse(`a call in ${layerName(layer)} is given an initial state, with which TensorFlow.js fails to predict`);
      }
    }
  }
  if (layers.some(({ type, options }) => type === "masking" || options.maskZero === true)) {
    layers.forEach(checkMask);
  }
}

/** Throws for a layer whose mask is another one in TensorFlow.js. */
function checkMask(layer: Layer): void {
  const name = layerName(layer);
  if (layer.type === "reshape") refuse(`${name} keeps the mask of its input, which TensorFlow.js drops`);
  if (layer.type === "merge" && layer.options.counts === "any") {
    refuse(`${name} has counts "any", and in TensorFlow.js a step counts if it counts in all inputs`);
  }
  if (layer.type === "timeDistributed" && allOf(layer).some(({ options }) => options.maskZero === true)) {
    refuse(`${name} makes a mask inside, which TensorFlow.js drops`);
  }
  if (isRecurrentLayer(layer) && layer.flags.goBackwards && layer.flags.returnSequences && !keepsMaskOrder(layer)) {
    refuse(`${name} goes backwards, and TensorFlow.js leaves the mask of its output in the order of the input`);
  }
}
