/** The files that the command `export` reads. What reads a format is loaded only when it is needed. */
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { quoted } from "../../src/quoted.ts";
import type { Spec } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";

/** A model from a file. */
export interface SourceModel {
  readonly model: Layer;
  readonly variables: Variables;
  /** Specs of its input, if the file says them. */
  readonly input?: Tree<Spec>;
}

/** Reads a file of one format; `beside` reads another in its folder. */
type Reader = (
  bytes: Uint8Array,
  beside: (name: string) => Promise<Uint8Array>,
) => Promise<SourceModel>;

/** Files with weights alone, which have no model to export. */
const WEIGHTS = [".weights.h5", ".pt", ".pth", ".bin", ".npz", ".npy"];

/** Reads any file of Keras. */
async function readKeras(bytes: Uint8Array): Promise<SourceModel> {
  const { fromKeras } = await import("../keras/mod.ts");
  return await fromKeras(bytes);
}

/** The readers by the ends of names. */
export const sources: Readonly<Record<string, Reader>> = {
  ".safetensors": async (bytes) => {
    const { loadCheckpoint } = await import("../safetensors/mod.ts");
    const { model, variables } = loadCheckpoint(bytes);
    if (model.type !== "model") return { model, variables };
    const { declaredInputs } = await import("../keras/graph_order.ts");
    return { model, variables, input: declaredInputs(model) };
  },
  ".keras": readKeras,
  ".h5": readKeras,
  ".hdf5": readKeras,
  ".json": async (bytes, beside) => {
    const { fromTfjs } = await import("../tfjs/mod.ts");
    return await fromTfjs(new TextDecoder().decode(bytes), beside);
  },
  ".onnx": async (bytes) => {
    const { fromOnnx } = await import("../onnx/mod.ts");
    const { model, variables, inputs } = fromOnnx(bytes);
    const specs = inputs.map(({ name, dtype, shape }) => [name, shape && { dtype, shape }] as const);
    if (specs.some(([, spec]) => spec === undefined)) return { model, variables };
    const known = Object.fromEntries(specs) as Readonly<Record<string, Spec>>; // as just checked
    return { model, variables, input: specs.length === 1 ? known[specs[0][0]] : known };
  },
};

/**
 * The reader of a file, by its name.
 *
 * @throws RangeError for a file of another format, with those that are known.
 */
export function readerFor(file: string): Reader {
  const hasWeights = WEIGHTS.some((end) => file.toLowerCase().endsWith(end));
  const end = Object.keys(sources).find((end) => file.toLowerCase().endsWith(end));
  if (end !== undefined && !hasWeights) return sources[end];
  throw new RangeError(
    `Cannot export ${quoted(file)}: ${
      hasWeights ? "such files have weights alone, without their model" : "its format is unknown"
    }, expected ${Object.keys(sources).join(", ")}; ${
      hasWeights ? "load them into a model and write that with saveCheckpoint" : "name it by its format"
    }`,
  );
}
