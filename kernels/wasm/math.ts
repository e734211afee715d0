/**
 * Vector math over f32x4, written inline: an emitter for each function of `kernels/math`, which pops its
 * operands from the stack and pushes the result. Wrap loops over them in `withConstants`.
 */
import { mapFunctions, type MathName } from "../math/mod.ts";
import { type VectorEmitter, vectorEmitter } from "./math/emit.ts";

export { constant, withConstants } from "./math/constants.ts";
export type { VectorEmitter } from "./math/emit.ts";

/** The functions by the names of their operations. */
export const vectorFunctions: Readonly<Record<MathName, VectorEmitter>> = mapFunctions(vectorEmitter);
