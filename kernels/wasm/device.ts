/** The wasm device: its memory and its threads. */
import type { Program } from "../../src/program/types.ts";
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import type { Code, CpuDevice } from "../cpu/device.ts";
import { checkStorable, StoredTensor } from "../stored_tensor.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import { codeFor } from "./code_for.ts";
import type { Features } from "./features.ts";
import { DeviceLost } from "../backend.ts";
import { DeviceMemory } from "./memory.ts";
import type { WasmOptions } from "./options.ts";
import { panelColumns } from "./matmul/mod.ts";
import { Scratch } from "../scratch.ts";
import { startingTakes } from "./start_worker.ts";
import { pairsVectors } from "./wide.ts";
import { WORTH_SHARING } from "../cpu/partition.ts";
import { CONTROL_ADDRESS, controlBytes, createPool, defaultThreads, type Pool } from "./threads.ts";

/** Memory and threads, created once and shared by all executables. */
export class WasmDevice implements CpuDevice {
  readonly name: string;
  readonly memory: DeviceMemory;
  /** What calls use while they run. */
  readonly scratch: Scratch;
  readonly #relaxed: boolean;
  readonly #wide: boolean;
  #features: Features | undefined;
  readonly panelColumns = panelColumns;
  readonly threads: number;
  /** Whether kernels are measured. */
  readonly profile: boolean;
  /** Elements from which threads share a kernel. */
  readonly shareFrom: number;
  #pool: Pool | undefined;
  #lost: DeviceLost | undefined;

  constructor(
    name: string,
    {
      profile = false,
      threads = profile ? 1 : defaultThreads(),
      relaxed = hasRelaxedSimd(),
      wide = false,
      shareFrom = WORTH_SHARING,
    }: WasmOptions = {},
  ) {
    this.name = name;
    this.profile = profile;
    this.shareFrom = shareFrom;
    this.#relaxed = relaxed;
    this.#wide = wide;
    this.memory = new DeviceMemory(CONTROL_ADDRESS + controlBytes(threads));
    this.scratch = new Scratch(this.memory);
    this.threads = this.memory.shared ? threads : 1;
  }

  /** What the engine can do, found out when code is first emitted. */
  async features(): Promise<Features> {
    return this.#features ??= { relaxed: this.#relaxed, wide: this.#wide && await pairsVectors() };
  }

  get instructions(): string {
    const simd = `${this.#relaxed ? "relaxed" : "plain"} SIMD${this.profile ? ", kernels measured" : ""}`;
    if (!this.#wide) return simd;
    if (!this.#features) return `${simd}, 256 bits if the engine pairs vectors`;
    return this.#features.wide
      ? `${simd} of 256 bits`
      : `${simd} of 128 bits, as the engine does not pair vectors`;
  }

  /** The threads, started when they are worth it; undefined for one thread. */
  pool(): Pool | undefined {
    if (this.threads === 1) return undefined;
    return this.#pool ??= createPool({
      threads: this.threads,
      memory: this.memory.memory,
      controlAddress: CONTROL_ADDRESS,
      // So workers are not started for calls that are over sooner than they would be.
      startAfter: this.shareFrom === 0 ? 0 : startingTakes(),
    });
  }

  /**
   * Whether a call has failed halfway: tensors can still be read, but nothing can run on this device any
   * more.
   */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  get notes(): readonly string[] {
    const missing = this.#pool?.missing;
    return missing === undefined ? [] : [`fewer threads, as some could not be started: ${missing}`];
  }

  codeFor(program: Program, stays: (input: number) => boolean): Promise<Code> {
    return codeFor(this, program, stays);
  }

  /** @throws DeviceLost once the device is lost. */
  check(): void {
    if (!this.#lost) return;
    throw new DeviceLost(
      `Cannot use the device ${this.name}: it was lost (${this.#lost.message}); its tensors can still be read`,
      { cause: this.#lost },
    );
  }

  /**
   * Runs a kernel. If it fails halfway, threads may still be writing, so the device is lost.
   *
   * @throws DeviceLost if it fails, and on every later call.
   */
  guard(run: () => void): void {
    this.check();
    try {
      run();
    } catch (error) {
      const isTrap = error instanceof WebAssembly.RuntimeError;
      if (!isTrap && !(error instanceof DeviceLost)) throw error;
      this.#lost ??= isTrap ? new DeviceLost(`A kernel failed: ${error.message}`, { cause: error }) : error;
      this.#pool?.[Symbol.dispose]();
      throw this.#lost;
    }
  }

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
