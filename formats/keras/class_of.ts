/** Keras's class for each of our layers. */
import { isRecurrentLayer, type Layer, layerName } from "../../src/layers/mod.ts";
import { knownClasses, layerRows, mergeClasses } from "./classes.ts";

const containers: Readonly<Record<string, string>> = {
  sequential: "Sequential",
  model: "Functional",
  bidirectional: "Bidirectional",
  timeDistributed: "TimeDistributed",
};

/**
 * Keras's class for a layer.
 *
 * @throws TypeError for a layer that Keras does not have, naming it.
 */
export function classOf(layer: Layer): string {
  if (Object.hasOwn(containers, layer.type)) return containers[layer.type];
  if (layer.type === "rnn" && isRecurrentLayer(layer)) {
    const [, axes] = layer.cell.type.match(/^convLstm([123])dCell$/) ?? [];
    return axes === undefined ? "RNN" : `ConvLSTM${axes}D`; // Keras's cell of a ConvLSTM is not public
  }
  const row = layerRows.find(({ type }) => type === layer.type);
  if (row) return row.className;
  const merging = Object.entries(mergeClasses).find(([, method]) =>
    layer.type === "merge" && method === layer.options.method
  );
  if (merging) return merging[0];
  throw new TypeError(
    `Cannot use Keras files with the layer ${layerName(layer)}: Keras has no such layer, only ${
      knownClasses.join(", ")
    }`,
  );
}
