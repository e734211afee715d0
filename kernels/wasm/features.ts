/** What the engine can do beyond plain SIMD. */

/** Features that emitted code may use. */
export interface Features {
  /** Relaxed SIMD: `f32x4.relaxed_madd`, which multiplies and adds in one instruction. */
  readonly relaxed: boolean;
}
