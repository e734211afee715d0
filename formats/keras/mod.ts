/**
 * Keras files: whole models (`.keras`) and weights alone (`.weights.h5`) of Keras 3, both ways; those of Keras
 * 2, and HDF5 files of whole models and of weights (`.h5`) of both, are read. HDF5 is read and written by
 * h5wasm, archives by zip.js; the core depends on neither.
 *
 * @module
 */
export { KerasFileError } from "./errors.ts";
export type { KerasModelOptions, KerasReadOptions } from "./limits.ts";
export type { KerasModel } from "./model_from.ts";
export { fromKeras } from "./read.ts";
export { type KerasWriteOptions, toKeras } from "./write.ts";
export { loadKerasWeights, saveKerasWeights } from "./weights.ts";
