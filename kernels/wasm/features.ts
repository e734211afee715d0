/** What the engine can do beyond plain SIMD. */

/** Features that emitted code may use. */
export interface Features {
  /** Relaxed SIMD: `f32x4.relaxed_madd`, which multiplies and adds in one instruction. */
  readonly relaxed: boolean;
  /** Whether pairs of vectors are computed as one of 256 bits: tiles of products have twice the columns. */
  readonly wide: boolean;
}
