/**
 * Layers models of TensorFlow.js, both ways: `model.json` with its files of weights, as `model.save` and the
 * converter of Keras models write them, quantized weights included. It depends on nothing else.
 *
 * @module
 */
export { KerasFileError } from "../keras/errors.ts";
export type { KerasReadOptions } from "../keras/limits.ts";
export type { KerasModel } from "../keras/model_from.ts";
export type { KerasWriteOptions } from "../keras/write.ts";
export type { ReadShard } from "./manifest.ts";
export { fromTfjs } from "./read.ts";
export { type TfjsFiles, toTfjs } from "./write.ts";
