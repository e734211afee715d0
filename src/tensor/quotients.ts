/**
 * Sizes that are whole quotients of other ones, such as the number of places that a window with a stride has along an
 * axis of open size. In a polynomial a quotient is one symbol, whose name says what is divided by what.
 */
import type { SymbolicDim } from "./symbolic.ts";

/** `⌊dividend / divisor⌋`. */
export interface Quotient {
  /** No coefficient is negative. */
  readonly dividend: SymbolicDim;
  readonly divisor: number;
}

const quotients = new Map<string, Quotient>();

/** The name of a quotient: `floor((time+1)/2)`. */
export function nameQuotient(dividend: SymbolicDim, divisor: number): string {
  // A `*` separates the symbols of a monomial, of which this becomes one.
  const text = dividend.toString().replaceAll("*", "·");
  const name = `floor(${/[+-]/.test(text) ? `(${text})` : text}/${divisor})`;
  quotients.set(name, { dividend, divisor });
  return name;
}

/** The quotient of this name; undefined if a symbol has it. */
export function quotientOf(name: string): Quotient | undefined {
  return quotients.get(name);
}
