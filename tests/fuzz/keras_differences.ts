/** Where the library differs from Keras on purpose, so that models of these kinds are not held to it. */
import type { Case, LayerDescription } from "./description.ts";

/** A difference, and whether it may be what a case and the message about it show. */
export interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly concerns: (one: Case, message: string) => boolean;
}

/** Whether any layer of a model is such. */
function someLayer(one: Case, is: (layer: LayerDescription) => boolean): boolean {
  const inside = (layer: LayerDescription): boolean =>
    is(layer) || [layer.inner, layer.backward, ...layer.layers ?? []].some((part) => part && inside(part));
  return inside(one.model);
}

/** All of them. */
export const differences: readonly Difference[] = [
  {
    name: "the carry of a stateful layer",
    reason:
      "A Keras file has no carry: a loaded model begins with zeros, and with batches of the size it was made for.",
    concerns: (one) => one.statefulBatch !== null,
  },
  {
    name: "glu in front of a layer that is built by its input's shape",
    reason:
      "Keras takes every activation to keep the shape, and builds the next layer for twice the features.",
    concerns: (one) => JSON.stringify(one.model).includes('"glu"'),
  },
  {
    name: "masks of words in sentences",
    reason:
      "Keras hands the mask of an inner axis on after timeDistributed has used that axis up, and then refuses it.",
    concerns: (one) =>
      someLayer(one, ({ type }) => type === "timeDistributed") &&
      one.inputs.some(({ time }) => time === 2),
  },
  {
    name: "batch normalization of steps with several axes and a mask",
    reason: "Keras refuses a mask that does not have one axis less than the input.",
    concerns: (_, message) =>
      message.includes("The mask provided should be one dimension less than the inputs"), // no other layer of Keras says so
  },
  {
    name: "softmax over more than five axes",
    reason: "TensorFlow has no such kernel.",
    concerns: (one) => one.inputs.some(({ shape }) => shape.length > 4),
  },
];
