/**
 * Keras 3 files, both ways: whole models (`.keras`) and weights alone (`.weights.h5`). HDF5 is read and
 * written by h5wasm, archives by zip.js; the core depends on neither.
 *
 * @module
 */
export { KerasFileError } from "./errors.ts";
export type { KerasReadOptions } from "./limits.ts";
export { fromKeras, type KerasModel } from "./read.ts";
export { type KerasWriteOptions, toKeras } from "./write.ts";
export { loadKerasWeights, saveKerasWeights } from "./weights.ts";
