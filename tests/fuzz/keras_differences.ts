/** Where the library differs from Keras on purpose, so that models of these kinds are not held to it. */
import type { Case, LayerDescription } from "./description.ts";

/** A difference, and which cases it may show in. */
export interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly concerns: (one: Case) => boolean;
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
    name: "softmax over more than five axes",
    reason: "TensorFlow has no such kernel.",
    concerns: (one) => one.inputs.some(({ shape }) => shape.length > 4),
  },
];
