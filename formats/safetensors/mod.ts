/**
 * Safetensors files: reads and writes any tree of tensors, at once or streamed, and the library's own
 * checkpoints, which are such files with the model in their metadata.
 *
 * @module
 */
export {
  encodeSafetensors,
  type SafetensorsOptions,
  writeSafetensors,
} from "../../src/data/safetensors/encode.ts";
export type { StoredFloats } from "../../src/data/safetensors/dtypes.ts";
export {
  decodeSafetensors,
  type ReadOptions,
  readSafetensors,
  type SafetensorsFile,
} from "../../src/data/safetensors/decode.ts";
export { restoreTree } from "./restore.ts";
export type { Metadata } from "../../src/data/safetensors/header.ts";
export {
  type Checkpoint,
  type CheckpointOptions,
  loadCheckpoint,
  readCheckpoint,
  type ReadCheckpointOptions,
  saveCheckpoint,
  type SaveCheckpointOptions,
  writeCheckpoint,
} from "./checkpoint.ts";
