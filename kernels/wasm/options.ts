/** The options of the device wasm. */

/** The most threads, and shares of a phase: the bits of a word. */
export const MOST_SHARES = 32;

/** How a wasm device runs. */
export interface WasmOptions {
  /**
   * Threads, the calling one included, at most 32; default: as many as the machine runs at once, at most 8.
   * Without `SharedArrayBuffer`, as in a page that is not cross-origin isolated, it is always one.
   *
   * Results are the same to the bit from run to run only for the same number of threads: sums are put
   * together from as many parts, so another number, and with it another machine's default, rounds differently
   * in the last places. Set a number if results must not depend on the machine. How many threads are actually
   * at work does not matter: if the machine has no idle processors, or workers cannot be started, fewer
   * threads compute the same parts.
   */
  readonly threads?: number;
  /** Whether relaxed SIMD is used; default: if the engine has it. */
  readonly relaxed?: boolean;
  /**
   * Whether products use tiles for vectors of 256 bits if the engine computes pairs of vectors as one, which
   * V8 does on x64 with AVX2 and flags of its own: docs/performance.md says which and what they cost. That is
   * found out once, which takes up to 50 ms; `explain` says what was found. Results are the same to the bit.
   * Default false.
   */
  readonly wide?: boolean;
  /**
   * Whether the time of each kernel is measured, for `explanation`; the code then runs on one thread, and is slower
   * by a call of the clock for each run of a kernel. Results are those of `threads: 1`. Default false.
   */
  readonly profile?: boolean;
  /**
   * Elements from which threads share a kernel, an integer from 0; default 4096. 0 shares all kernels, and
   * starts workers at once, for tests.
   */
  readonly shareFrom?: number;
}
