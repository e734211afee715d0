/**
 * Vector math over f32x4, written inline: for each function of `kernels/math` an emitter, which takes its operands from
 * the stack and leaves the result. Put loops over them inside `withConstants`.
 */
import { mathFunctions, type MathName } from "../math/mod.ts";
import { type VectorEmitter, vectorEmitter } from "./math/emit.ts";

export { constant, withConstants } from "./math/constants.ts";
export type { VectorEmitter } from "./math/emit.ts";

/** The functions by the names of the operations. */
export const vectorFunctions: Readonly<Record<MathName, VectorEmitter>> = {
  exp: vectorEmitter(mathFunctions.exp),
  expm1: vectorEmitter(mathFunctions.expm1),
  log: vectorEmitter(mathFunctions.log),
  log1p: vectorEmitter(mathFunctions.log1p),
  sin: vectorEmitter(mathFunctions.sin),
  cos: vectorEmitter(mathFunctions.cos),
  tanh: vectorEmitter(mathFunctions.tanh),
  sigmoid: vectorEmitter(mathFunctions.sigmoid),
  erf: vectorEmitter(mathFunctions.erf),
  pow: vectorEmitter(mathFunctions.pow),
};
