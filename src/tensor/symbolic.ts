/** What a size is that is not known as a number. What is computed with sizes is in dims.ts. */

/**
 * A size known only at run time: an integer polynomial over named symbols, such as `batch*time` or `time-1`.
 */
export interface SymbolicDim {
  /**
   * Coefficient by monomial; a monomial is its symbols sorted and joined by `*`, the constant term is `""`.
   */
  readonly terms: Readonly<Record<string, number>>;
  /** The polynomial as text. */
  toString(): string;
  /**
   * Its text in a string; arithmetic and comparisons throw a TypeError, as nobody knows the number yet.
   */
  [Symbol.toPrimitive](hint: string): string;
}
