/**
 * The functions of mathematics that no processor has (exp, tanh, sin, …), said once for every backend that computes in
 * float32. Here are the formulas: how an argument is reduced, the coefficients, the special values. A function is an
 * expression (`vocabulary.ts`): plain data over a small vocabulary of additions, bits, comparisons and choices, which
 * has no branches, no tables and nothing of vectors. Each language has a table of what it says for every word, and the
 * compiler names what a table lacks:
 *
 * - wasm, instructions on four lanes: `kernels/wasm/math/emit.ts`;
 * - WGSL, text: `kernels/webgpu/wgsl/math.ts`;
 * - JavaScript, text for the tests: `tests/kernels/math/javascript.ts`.
 *
 * Where languages differ in what they promise, a word says what is meant, and a language that has it anyway says nothing:
 * `rounded` and `orNan` are silent in wasm, where IEEE 754 holds. Where they differ in what is fast, a word leaves the
 * means open: `whole` rounds to an integer by adding a large float, or by floor, and `fma` rounds once or twice. None of
 * WGSL's own functions is used for `exp`, `tanh` and so on: they may be off by 2⁻¹¹ and more, and let NaN vanish.
 *
 * The bounds of docs/numbers.md hold in every language, fused or not: 2e-7 in relation, denormals
 * included where the device has them; what single functions leave out stands at them. `reference` computes in float64
 * by JavaScript's own functions and knows nothing of this.
 */
import { erf } from "./error_function.ts";
import { exp, expm1, sigmoid, tanh } from "./exponential.ts";
import { log, log1p } from "./logarithm.ts";
import { pow } from "./power.ts";
import { cos, sin } from "./trigonometric.ts";
import type { MathFunction } from "./vocabulary.ts";

/** The functions by the names of the operations. */
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

/** The name of one. */
export type MathName = keyof typeof mathFunctions;

/** Something for every function. */
export function mapFunctions<Result>(
  of: (fn: MathFunction, name: MathName) => Result,
): { readonly [Name in MathName]: Result } {
  const entries = Object.entries(mathFunctions).map(([name, fn]) => [name, of(fn, name as MathName)]);
  return Object.fromEntries(entries); // under the same names
}
