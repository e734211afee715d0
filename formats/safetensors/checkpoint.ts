/**
 * The library's own checkpoints: a safetensors file whose metadata holds the model's JSON and the structure
 * of its variables, so that nothing else is needed to continue.
 */
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { fromJson, type FromJsonOptions, toJson } from "../../src/models/json.ts";
import { checkOptions } from "../../src/option_names.ts";
import { quoted } from "../../src/quoted.ts";
import type { Json } from "../../src/options/json.ts";
import type { HostTensor, Tensor } from "../../src/tensor/tensor.ts";
import type { OptimizerState } from "../../src/training/optimizers.ts";
import type { Tree } from "../../src/tree/tree.ts";
import {
  decodeSafetensors,
  readSafetensors,
  type SafetensorsFile,
} from "../../src/data/safetensors/decode.ts";
import type { StoredFloats } from "../../src/data/safetensors/dtypes.ts";
import { checkFloats, type Content, encodeContent, writeContent } from "../../src/data/safetensors/encode.ts";
import type { Metadata } from "../../src/data/safetensors/header.ts";
import {
  CHECKPOINT,
  malformedCheckpoint,
  parseJson,
  structureOf,
  treeOf,
} from "../../src/data/safetensors/structure.ts";

/** The contents of a checkpoint. */
export interface Checkpoint {
  /** The layer or model; custom cells, layers and functions are passed in when it is read. */
  readonly model: Layer;
  /** Its params and state. */
  readonly variables: Variables;
  /** What `fit` needs to continue as if it had not stopped. */
  readonly optimizerState?: OptimizerState;
  /** Custom text, by key, such as the epoch. */
  readonly metadata?: Metadata;
}

/** Options of {@linkcode saveCheckpoint} and {@linkcode writeCheckpoint}. */
export interface SaveCheckpointOptions {
  /**
   * How the variables are written: `float32` (default), `float16` or `bfloat16`, as for `encodeSafetensors`. The state of
   * the optimizer is always float32: its numbers are too small for float16, and too close together for bfloat16.
   */
  readonly floats?: StoredFloats;
}

/** Options of {@linkcode loadCheckpoint}: the parts of the model that JSON cannot hold. */
export type CheckpointOptions = FromJsonOptions;

/** Options of {@linkcode readCheckpoint}. */
export interface ReadCheckpointOptions extends CheckpointOptions {
  /** The length of the file in bytes, if it is known. */
  readonly length?: number;
}

const RESERVED = [...Object.keys(CHECKPOINT), "model", "structure"];

/**
 * How many values the JSON of a model may have: some thousand layers, so that a graph is walked in reasonable
 * time.
 */
const MODEL_LIMIT = 100_000;

/** What is written: the tree of all tensors, and the metadata. */
function contentOf(checkpoint: Checkpoint, options: SaveCheckpointOptions): Content {
  checkOptions("the file of a checkpoint", options, ["floats"]);
  const floats = checkFloats(options.floats);
  checkOptions("a checkpoint", checkpoint, ["model", "variables", "optimizerState", "metadata"]);
  checkLayer("write a checkpoint", checkpoint.model);
  checkVariables("write a checkpoint", checkpoint.variables);
  const { model, variables: { params, state }, optimizerState, metadata = {} } = checkpoint;
  const reserved = RESERVED.find((key) => Object.hasOwn(metadata, key));
  if (reserved !== undefined) {
    throw new RangeError(
      `Cannot write the metadata ${reserved}: a checkpoint has its own; choose another key`,
    );
  }
  const tree = { params, state, ...(optimizerState === undefined ? {} : { optimizerState }) };
  return {
    tree,
    floatsOf: (name) => name.startsWith("optimizerState/") ? "float32" : floats,
    metadata: {
      ...metadata,
      ...CHECKPOINT,
      model: JSON.stringify(toJson(model)),
      structure: JSON.stringify(structureOf(tree)),
    },
  };
}

/**
 * Writes a model with its variables, and its optimizer's state, as the bytes of one file.
 *
 * It is a safetensors file that any reader opens: the tensors are named `params/…`, `state/…` and
 * `optimizerState/…`.
 *
 * @throws TypeError if an option of the model is a function, naming the layer and the option, or a tensor is
 *   not on the host; RangeError for metadata under a name that checkpoints use, keys with slashes, or a number that
 *   would be infinite in 16 bits.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, predict, sequential, spec, zeros } from "@cellfold/cellfold";
 * import { loadCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
 * const model = sequential([lstm({ units: 8 }), dense({ units: 2 })]);
 * const variables = init(model, key(0), spec([null, null, 3]));
 * const bytes = saveCheckpoint({ model, variables, metadata: { epoch: "3" } });
 * const loaded = loadCheckpoint(bytes);
 * assertEquals(loaded.metadata?.epoch, "3");
 * const x = zeros([1, 5, 3]);
 * assertEquals(await predict(loaded.model, loaded.variables, x), await predict(model, variables, x));
 * ```
 */
export function saveCheckpoint(
  checkpoint: Checkpoint,
  options: SaveCheckpointOptions = {},
): Uint8Array<ArrayBuffer> {
  return encodeContent(contentOf(checkpoint, options));
}

/**
 * The same file as {@linkcode saveCheckpoint} returns, in pieces; the tensors may be on a device.
 *
 * @throws As {@linkcode saveCheckpoint}, immediately.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, spec } from "@cellfold/cellfold";
 * import { readCheckpoint, writeCheckpoint } from "@cellfold/cellfold/safetensors";
 * const model = dense({ units: 2 });
 * const variables = init(model, key(0), spec([null, 3]));
 * const { variables: read } = await readCheckpoint(writeCheckpoint({ model, variables }));
 * assertEquals(read, variables);
 * ```
 */
export function writeCheckpoint(
  checkpoint: Checkpoint,
  options: SaveCheckpointOptions = {},
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return writeContent(contentOf(checkpoint, options));
}

function modelOf(json: Json, options: FromJsonOptions): Layer {
  try {
    return fromJson(json, options);
  } catch (error) {
    throw malformedCheckpoint(
      `its model cannot be made (${error instanceof Error ? error.message : error})`,
      error,
    );
  }
}

/** Throws unless the params have the structure of the model's layers. */
function checkParams(model: Layer, params: Tree<Tensor>): void {
  try {
    model.trainableLeaves(params);
  } catch (error) {
    throw malformedCheckpoint(
      `its params are not those of its model (${error instanceof Error ? error.message : error})`,
      error,
    );
  }
}

function checkpointOf({ tensors, metadata }: SafetensorsFile, options: FromJsonOptions): Checkpoint {
  const { format, version, model: modelText, structure: structureText, ...own } = metadata;
  if (format !== CHECKPOINT.format || version !== CHECKPOINT.version) {
    const given = `${quoted(format ?? "none")}, version ${quoted(version ?? "none")}`;
    throw malformedCheckpoint(
      `its format is ${given}, expected "${CHECKPOINT.format}", version "${CHECKPOINT.version}"`,
    );
  }
  const model = modelOf(parseJson(modelText, "model", MODEL_LIMIT), options);
  const left = new Map(Object.entries(tensors));
  const tree = treeOf(parseJson(structureText, "structure"), left);
  const [unused] = left.keys();
  if (unused !== undefined) {
    throw malformedCheckpoint(`its structure leaves out the tensor ${quoted(unused)}`);
  }
  if (!("params" in tree && "state" in tree)) {
    throw malformedCheckpoint("its structure has no params and state");
  }
  const { params, state, optimizerState } = tree as { readonly [part: string]: Tree<HostTensor> }; // as just checked
  checkParams(model, params);
  if (optimizerState !== undefined && !("step" in optimizerState)) {
    throw malformedCheckpoint("its optimizerState has no step");
  }
  return {
    model,
    variables: { params, state },
    ...(optimizerState === undefined ? {} : { optimizerState: optimizerState as OptimizerState }), // as just checked
    metadata: own,
  };
}

/**
 * Reads what {@linkcode saveCheckpoint} wrote.
 *
 * @param options Custom cells, layers and functions by type or name, as for `fromJson`.
 * @throws SyntaxError saying what is wrong with the file; nothing is half-loaded.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, fit, init, key, normal, spec } from "@cellfold/cellfold";
 * import { loadCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
 * const model = dense({ units: 1 });
 * const data = { x: normal(key(1), [8, 3]), y: normal(key(2), [8, 1]) };
 * const options = { loss: "mse", optimizer: "adam", report: "none" } as const;
 * const { variables, optimizerState } = await fit(model, init(model, key(0), spec([null, 3])), data, options);
 * const bytes = saveCheckpoint({ model, variables, optimizerState });
 *
 * const loaded = loadCheckpoint(bytes);
 * assertEquals(loaded.optimizerState, optimizerState);
 * await fit(loaded.model, loaded.variables, data, { ...options, optimizerState: loaded.optimizerState });
 * ```
 */
export function loadCheckpoint(bytes: Uint8Array, options: CheckpointOptions = {}): Checkpoint {
  checkOptions("loadCheckpoint", options, ["cells", "layers", "functions"]);
  return checkpointOf(decodeSafetensors(bytes), options);
}

/**
 * The same as {@linkcode loadCheckpoint} from a stream, as {@linkcode readSafetensors} reads one.
 *
 * @throws SyntaxError as {@linkcode loadCheckpoint}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, spec } from "@cellfold/cellfold";
 * import { readCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
 * const model = dense({ units: 2 });
 * const variables = init(model, key(0), spec([null, 3]));
 * const file = new Blob([saveCheckpoint({ model, variables })]);
 * const read = await readCheckpoint(file.stream(), { length: file.size });
 * assertEquals(read.variables, variables);
 * ```
 */
export async function readCheckpoint(
  source: ReadableStream<Uint8Array> | Uint8Array,
  options: ReadCheckpointOptions = {},
): Promise<Checkpoint> {
  checkOptions("readCheckpoint", options, ["cells", "layers", "functions", "length"]);
  const { length, ...revivers } = options;
  return checkpointOf(await readSafetensors(source, { length }), revivers);
}
