/**
 * Vector math over f32x4, written inline: for each function of `kernels/math` an emitter, which takes its operands from
 * the stack and leaves the result. Put loops over them inside `withConstants`.
 */
import { mapFunctions, type MathName } from "../math/mod.ts";
import { type VectorEmitter, vectorEmitter } from "./math/emit.ts";

export { constant, withConstants } from "./math/constants.ts";
export type { VectorEmitter } from "./math/emit.ts";

/** The functions by the names of the operations. */
export const vectorFunctions: Readonly<Record<MathName, VectorEmitter>> = mapFunctions(vectorEmitter);
