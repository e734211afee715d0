/** The native device: its memory, its threads and its compiler. */
import type { Program } from "../../src/program/types.ts";
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import type { Code, CpuDevice } from "../cpu/device.ts";
import { WORTH_SHARING } from "../cpu/partition.ts";
import { Scratch } from "../scratch.ts";
import { checkStorable, StoredTensor } from "../stored_tensor.ts";
import { PANEL_COLUMNS } from "./c/product.ts";
import { codeFor } from "./code_for.ts";
import type { NativeMemory } from "./memory.ts";
import { openDevice, openRuntime, type Runtime } from "./runtime.ts";

/** How a native device runs. */
export interface NativeOptions {
  /**
   * Threads, the calling one included, at most 32; default: as many as the machine runs at once, at most 8.
   *
   * Results are the same to the bit from run to run only for the same number of threads: sums are put together from as
   * many parts, so another number rounds differently in the last places.
   */
  readonly threads?: number;
  /** Elements from which threads share a kernel, an integer from 0; default 4096. 0 shares all kernels, for tests. */
  readonly shareFrom?: number;
}

/** As many threads as the machine runs at once, but at most 8: recurrent models rarely have work for more. */
function defaultThreads(): number {
  return Math.max(1, Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, 8));
}

/** All options. */
export function withDefaults(
  { threads = defaultThreads(), shareFrom = WORTH_SHARING }: NativeOptions,
): Required<NativeOptions> {
  return { threads, shareFrom };
}

/** Memory and threads, created once and shared by all executables. */
export class NativeDevice implements CpuDevice {
  readonly scratch: Scratch;
  readonly panelColumns = PANEL_COLUMNS;
  readonly #runtime: Runtime;
  /** What the runtime calls it. */
  readonly #device: number;

  private constructor(
    readonly name: string,
    runtime: Runtime,
    readonly memory: NativeMemory,
    device: number,
    readonly threads: number,
    readonly shareFrom: number,
  ) {
    this.#runtime = runtime;
    this.#device = device;
    this.scratch = new Scratch(memory);
  }

  /** @throws DeviceUnavailable if this machine cannot run it. */
  static async open(name: string, options: NativeOptions): Promise<NativeDevice> {
    const { threads, shareFrom } = withDefaults(options);
    const runtime = await openRuntime();
    const { memory, device } = openDevice(runtime, threads);
    return new NativeDevice(name, runtime, memory, device, threads, shareFrom);
  }

  /** It is never lost: code that fails ends the process. */
  check(): void {}

  guard(run: () => void): void {
    run();
  }

  codeFor(program: Program, stays: (input: number) => boolean): Promise<Code> {
    const { memory, threads, shareFrom } = this;
    return codeFor(
      { runtime: this.#runtime, device: this.#device, memory, threads, shareFrom },
      program,
      stays,
    );
  }

  get instructions(): string {
    const { lanes, compiler: { command, version } } = this.#runtime;
    return `vectors of ${lanes} floats, compiled by ${command} ${version}`;
  }

  readonly notes: readonly string[] = [];

  /** A tensor on this device with uninitialized values. */
  tensor(shape: readonly number[], dtype: DType): StoredTensor {
    return new StoredTensor(this.memory, this.name, shape, dtype);
  }

  /** A tensor that is copied when its elements are needed where they lie. */
  share(tensor: HostTensor): StoredTensor {
    checkStorable(tensor, this.name);
    const write = (address: number) => this.memory.write(address, tensor);
    return new StoredTensor(this.memory, this.name, tensor.shape, tensor.dtype, { tensor, write });
  }

  upload(tensor: HostTensor): StoredTensor {
    checkStorable(tensor, this.name);
    const created = this.tensor(tensor.shape, tensor.dtype);
    this.memory.write(created.address, tensor);
    return created;
  }
}
