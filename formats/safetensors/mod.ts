/**
 * Safetensors files: reads and writes any tree of tensors, at once or streamed, and the library's own
 * checkpoints, which are such files with the model in their metadata.
 *
 * @module
 */
export { encodeSafetensors, type SafetensorsOptions, writeSafetensors } from "./encode.ts";
export { decodeSafetensors, type ReadOptions, readSafetensors, type SafetensorsFile } from "./decode.ts";
export { restoreTree } from "./names.ts";
export type { Metadata } from "./header.ts";
export {
  type Checkpoint,
  type CheckpointOptions,
  loadCheckpoint,
  readCheckpoint,
  type ReadCheckpointOptions,
  saveCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
