/** Times the kernels of a module that says when each has run (`marks` of `emit/module.ts`). */
import type { KernelTimes } from "../cpu/device.ts";
import type { CpuKernel } from "../cpu/kernels.ts";

/**
 * The time of every kernel, over all calls. The time between two marks belongs to the kernel that the second one
 * names; so a loop has what its own control takes. The clock of a page advances in steps of 5 to 100 microseconds,
 * as its host decides: sums over many calls are right on average, those of a single call are not.
 */
export class KernelClock implements KernelTimes {
  readonly #numbers: ReadonlyMap<CpuKernel, number>;
  readonly #milliseconds: Float64Array;
  #calls = 0;
  #latest = 0;

  /** @param kernels In the order of the numbers that the module marks with. */
  constructor(kernels: ReadonlyMap<CpuKernel, string>) {
    this.#numbers = new Map([...kernels.keys()].map((kernel, number) => [kernel, number]));
    this.#milliseconds = new Float64Array(kernels.size);
  }

  /** What the module calls as `profile.mark`. */
  readonly mark = (kernel: number): void => {
    const now = performance.now();
    this.#milliseconds[kernel] += now - this.#latest;
    this.#latest = now;
  };

  /** Runs the code of a call. */
  measure(run: () => void): void {
    this.#latest = performance.now();
    run();
    this.#calls++;
  }

  get calls(): number {
    return this.#calls;
  }

  readonly of = (kernel: CpuKernel): number | undefined => {
    const number = this.#numbers.get(kernel);
    return number === undefined ? undefined : this.#milliseconds[number];
  };
}
