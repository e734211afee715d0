/** What TensorFlow.js cannot compute as we do is refused before anything is written. */
import { isRecurrentLayer, type Layer, layerName } from "../../src/layers/mod.ts";
import { isTokenCast, referencesIn, stepsOf } from "../keras/graph_order.ts";
import { keepsMaskOrder } from "../keras/mask_order.ts";
import { takesMask } from "../keras/masks.ts";
import { travellingMasks } from "../keras/read_masks.ts";

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
        `${
          layerName(layer)
        } is a sequential inside another layer, which TensorFlow.js cannot build without a shape; ` +
          "put its layers into the model, or make it with model(...)",
      );
    }
    if (layer.type !== "model") continue;
    for (const step of stepsOf(layer)) {
      if (step.function !== undefined && !isTokenCast(step)) {
        refuse(
          `${
            layerName(layer)
          } applies the function ${step.function}, and TensorFlow.js has layers alone; use merge(...)`,
        );
      }
      if (step.mask !== undefined || step.resets !== undefined) {
        refuse(
          `a call in ${layerName(layer)} is given a mask or resets, which no call in TensorFlow.js takes`,
        );
      }
      if (step.initialState !== undefined) {
        refuse(
          `a call in ${
            layerName(layer)
          } is given an initial state, with which TensorFlow.js fails to predict`,
        );
      }
    }
  }
  for (const layer of layers) {
    if (layer.type === "bidirectional" && layer.options.backwardLayer) {
      refuse(
        `${
          layerName(layer)
        } has a backwardLayer of its own, and TensorFlow.js makes both directions of one layer`,
      );
    }
    if (layer.type === "timeDistributed" && allOf(layer).some(({ options }) => options.maskZero === true)) {
      refuse(`${layerName(layer)} makes a mask inside, which TensorFlow.js drops`);
    }
    checkMasks(callsIn(layer));
  }
}

/** A call of a layer, and whether its input carries a mask. */
interface Call {
  readonly layer: Layer;
  readonly masked: boolean;
}

/** The calls in a container. */
function callsIn(container: Layer): readonly Call[] {
  const layers = container.layers ?? [];
  const carried = travellingMasks();
  if (container.type === "sequential") {
    return layers.map((layer, index) => {
      carried.call((output) => `${index + 1}.${output}`, layer, [`${index}.0`], false);
      return { layer, masked: carried.has(`${index}.0`) };
    });
  }
  if (container.type !== "model") return [];
  return stepsOf(container).flatMap(({ layer: at, inputs }, step) => {
    const read = referencesIn(inputs).map(({ node, index }) => `${node}.${index}`);
    if (at === undefined) return []; // an input, or a cast of tokens, which carry no mask
    carried.call((output) => `${step}.${output}`, layers[at], read, false);
    return [{ layer: layers[at], masked: read.some(carried.has) }];
  });
}

/** Throws where TensorFlow.js computes with other masks. */
function checkMasks(calls: readonly Call[]): void {
  const masked = calls.filter(({ masked }) => masked);
  masked.forEach(({ layer }) => checkMasked(layer));
  const other = calls.find(({ layer, masked }) => takesMask(layer) && !masked);
  if (masked.length === 0 || other === undefined) return;
  refuse(
    `${
      layerName(other.layer)
    } is given no mask beside layers that are, and TensorFlow.js would give it that of ` +
      "the layer that ran before",
  );
}

/** Types of layers that fail there when their input carries a mask. */
const WITHOUT_MASK =
  /^((depthwise|separable)?conv\dd(transpose)?|(max|average|global(max|average))pooling\dd|cropping2d|dot|elu|leakyrelu|permute|repeatvector|softmax|upsampling2d|zeropadding2d)$/i;

/** Throws for a layer that is given masks and that TensorFlow.js would hand on otherwise. */
function checkMasked(layer: Layer): void {
  const name = layerName(layer);
  if (layer.type === "reshape") refuse(`${name} keeps the mask of its input, which TensorFlow.js drops`);
  if (layer.type === "merge" && (layer.options.method !== "concatenate" || layer.options.counts === "any")) {
    refuse(`${name} merges inputs with masks, for which TensorFlow.js makes a mask of another shape`);
  }
  if (WITHOUT_MASK.test(layer.type)) {
    refuse(`${name} is given an input with a mask, with which its class in TensorFlow.js fails`);
  }
  if (!isRecurrentLayer(layer)) return;
  if (layer.flags.zeroOutputForMask) {
    refuse(`${name} has zeroOutputForMask, which TensorFlow.js does not compute`);
  }
  if (layer.flags.goBackwards && layer.flags.returnSequences && !keepsMaskOrder(layer)) {
    refuse(
      `${name} goes backwards, and TensorFlow.js leaves the mask of its output in the order of the input`,
    );
  }
}
