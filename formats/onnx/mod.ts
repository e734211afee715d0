/**
 * Models in ONNX, the open format of trained models: models trained here run wherever ONNX is supported, and
 * models trained elsewhere predict and train further here.
 *
 * @module
 */
export { fromOnnx, type FromOnnxOptions, type OnnxModel } from "./import/from_onnx.ts";
export type { BatchAxes, BatchAxis } from "./import/axes.ts";
export type { OnnxConstant } from "./import/bound.ts";
export type { OnnxShapes } from "./import/declared.ts";
export type { OnnxInput } from "./import/inputs.ts";
export type { OnnxRun, OnnxRunOptions, OnnxTensors } from "./import/run.ts";
export type { OnnxLimits } from "./import/limits.ts";
export { OnnxError, type OnnxErrorOptions } from "./errors.ts";
export type { ExternalData } from "./tensors.ts";
export { toOnnx, type ToOnnxOptions } from "./export/to_onnx.ts";
