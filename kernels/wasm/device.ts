/** The wasm device: its memory and its threads. */
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import { checkStorable, StoredTensor } from "../stored_tensor.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import type { Features } from "./features.ts";
import { DeviceMemory } from "./memory.ts";
import { WORTH_SHARING } from "./share.ts";
import { controlBytes, createPool, defaultThreads, type Pool } from "./threads.ts";

/** How a wasm device runs. */
export interface WasmOptions {
  /**
   * Threads, the calling one included; default: as many as the machine runs at once, at most 8. Without
   * `SharedArrayBuffer`, as in a page that is not cross-origin isolated, it is always one.
   *
   * Results are bit-identical for one number of threads only: another number shares sums out otherwise, and rounds them
   * otherwise.
   */
  readonly threads?: number;
  /** Whether relaxed SIMD is used; default: where the engine has it. */
  readonly relaxed?: boolean;
  /** Elements from which threads share a kernel, whole number from 0; default 4096. 0 shares all, for tests. */
  readonly shareFrom?: number;
}

const CONTROL_ADDRESS = 64;

/** Memory and threads, made once and shared by all executables. */
export class WasmDevice {
  readonly name: string;
  readonly memory: DeviceMemory;
  readonly features: Features;
  readonly threads: number;
  /** Elements from which threads share a kernel. */
  readonly shareFrom: number;
  #pool: Promise<Pool> | undefined;

  constructor(
    name: string,
    { threads = defaultThreads(), relaxed = hasRelaxedSimd(), shareFrom = WORTH_SHARING }: WasmOptions = {},
  ) {
    this.name = name;
    this.shareFrom = shareFrom;
    this.features = { relaxed };
    this.memory = new DeviceMemory(CONTROL_ADDRESS + controlBytes(threads));
    this.threads = this.memory.shared ? threads : 1;
  }

  /** The threads, started when first needed. */
  pool(): Promise<Pool> {
    return this.#pool ??= createPool({
      threads: this.threads,
      memory: this.memory.memory,
      controlAddress: CONTROL_ADDRESS,
    });
  }

  /** A tensor of this device, whose values are not set. */
  tensor(shape: readonly number[], dtype: DType): StoredTensor {
    return new StoredTensor(this.memory, this.name, shape, dtype);
  }

  upload(tensor: HostTensor): StoredTensor {
    checkStorable(tensor, this.name);
    const created = this.tensor(tensor.shape, tensor.dtype);
    this.memory.write(created.address, tensor);
    return created;
  }
}
