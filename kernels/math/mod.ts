/**
 * The mathematical functions that no processor has (exp, tanh, sin, …), defined once for every backend that
 * computes in float32. The formulas are here: how an argument is reduced, the coefficients, the special
 * values. A function is an expression (`vocabulary.ts`): plain data over a small vocabulary of additions,
 * bits, comparisons and choices, without branches, tables or vectors. Each language has a table with its form
 * of every word, and the type checker reports what a table lacks:
 *
 * - wasm, instructions on four lanes: `kernels/wasm/math/emit.ts`;
 * - WGSL, text: `kernels/webgpu/wgsl/math.ts`;
 * - JavaScript, text for the tests: `tests/kernels/math/javascript.ts`.
 *
 * If languages differ in what they guarantee, a word states what is required, and a language that guarantees
 * it anyway emits nothing: `rounded` and `orNan` are silent in wasm, where IEEE 754 holds. If they differ in
 * what is fast, a word leaves the means open: `whole` rounds to an integer by adding a large float, or by
 * floor, and `fma` rounds once or twice. WGSL's own `exp`, `tanh` and so on are not used: their error may be
 * 2⁻¹¹ and more, and they may lose NaN.
 *
 * The bounds of docs/numbers.md hold in every language, fused or not: a relative error of 2e-7, denormals
 * included if the device has them; exceptions are documented at the functions. `reference` computes in
 * float64 by JavaScript's own functions and does not use these.
 */
import { erf } from "./error_function.ts";
import { exp, expm1, sigmoid, tanh } from "./exponential.ts";
import { log, log1p } from "./logarithm.ts";
import { pow } from "./power.ts";
import { cos, sin } from "./trigonometric.ts";
import type { MathFunction } from "./vocabulary.ts";

/** The functions by the names of their operations. */
export const mathFunctions = {
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  tanh,
  sigmoid,
  erf,
  pow,
} as const satisfies Readonly<
  Record<string, MathFunction>
>;

/** The name of a function. */
export type MathName = keyof typeof mathFunctions;

/** A record with an entry for every function. */
export function mapFunctions<Result>(
  of: (fn: MathFunction, name: MathName) => Result,
): { readonly [Name in MathName]: Result } {
  const entries = Object.entries(mathFunctions).map(([name, fn]) => [name, of(fn, name as MathName)]);
  return Object.fromEntries(entries); // under the same names
}
