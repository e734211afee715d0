/**
 * Vector math over f32x4, written inline: for each function an emitter, which takes its operands from the stack and
 * leaves the result. Relative errors are below 2e-7 with and without fused multiply-add, denormals
 * included; what single functions leave out stands at them. Put loops over them inside `withConstants`.
 */
export { cos, sin } from "./math/trigonometric.ts";
export { constant, withConstants } from "./math/constants.ts";
export type { VectorEmitter } from "./math/emit.ts";

import { mathFunctions } from "../math/mod.ts";
import { vectorEmitter } from "./math/emit.ts";
export const exp = vectorEmitter(mathFunctions.exp);
export const expm1 = vectorEmitter(mathFunctions.expm1);
export const sigmoid = vectorEmitter(mathFunctions.sigmoid);
export const tanh = vectorEmitter(mathFunctions.tanh);
export const log = vectorEmitter(mathFunctions.log);
export const log1p = vectorEmitter(mathFunctions.log1p);
export const erf = vectorEmitter(mathFunctions.erf);
export const pow = vectorEmitter(mathFunctions.pow);
