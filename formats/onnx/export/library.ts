/** Whether a layer is the library's own: one that computes what the operator of its name does. */
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import { isRecurrentLayer, type RecurrentLayer } from "../../../src/layers/rnn.ts";
import { fromJson, toJson } from "../../../src/models/json.ts";
import { printProgram } from "../../../src/program/print.ts";
import { type LayerCall, traceLayer } from "./trace_layer.ts";

/**
 * Whether `layer` computes the same as the library's layer of its type and options. A custom cell or layer
 * may have any type and options, so both are traced and compared.
 */
export function isLibraryLayer(layer: Layer, variables: Variables, call: LayerCall): boolean {
  let rebuilt: Layer;
  try {
    rebuilt = fromJson(toJson(layer));
  } catch {
    return false; // a custom one, or an option is a function
  }
  const text = (layer: Layer) => printProgram(traceLayer(layer, variables, call).program);
  return text(layer) === text(rebuilt);
}

/** One recurrent layer, or those of both directions. */
export interface Recurrent {
  readonly forward: RecurrentLayer;
  readonly backward?: RecurrentLayer;
}

/** The recurrent layers of a layer, or of the two in a `bidirectional`. */
export function recurrentOf(layer: Layer): Recurrent | undefined {
  if (isRecurrentLayer(layer)) return { forward: layer };
  if (layer.type !== "bidirectional" || layer.layers?.length !== 2) return undefined;
  const [forward, backward] = layer.layers;
  return isRecurrentLayer(forward) && isRecurrentLayer(backward) ? { forward, backward } : undefined;
}
