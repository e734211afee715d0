/** Whether a layer is the library's own: one that computes what the operator of its name does. */
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import { isRecurrentLayer, type RecurrentLayer } from "../../../src/layers/rnn.ts";
import { isObject } from "../../../src/describe.ts";
import { layerJson } from "../../../src/layers/define.ts";
import { fromJson } from "../../../src/models/json.ts";
import { prune } from "../../../src/passes/prune.ts";
import { printProgram } from "../../../src/program/print.ts";
import { type LayerCall, traceLayer } from "./trace_layer.ts";

/**
 * Whether `layer` computes the same as the library's layer of its type and options. A custom cell or layer
 * may have any type and options, so both are traced and compared.
 */
export function isLibraryLayer(layer: Layer, variables: Variables, call: LayerCall): boolean {
  let rebuilt: Layer;
  try {
    rebuilt = fromJson(JSON.parse(JSON.stringify(layerJson(layer), withoutRules)));
  } catch {
    return false; // a custom one, or an option is a function
  }
  // Penalties of outputs are in the trace, but nothing reads them.
  const text = (layer: Layer) => printProgram(prune(traceLayer(layer, variables, call).program, () => {}));
  return text(layer) === text(rebuilt);
}

/** For `JSON.stringify`: options without those of training, which may be functions and compute no output. */
function withoutRules(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !/(Regularizer|Constraint)$/.test(key)));
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
