/** The wasm device: its memory, its threads and its tensors. */
import { type DType, type HostTensor, printSpec } from "../../src/tensor/tensor.ts";
import type { DeviceTensor } from "../../src/tensor/tensor.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import type { Features } from "./features.ts";
import { DeviceMemory } from "./memory.ts";
import { WORTH_SHARING } from "./share.ts";
import { controlBytes, createPool, defaultThreads, type Pool } from "./threads.ts";
import { sizeOf } from "../lowering/views.ts";

/** How a wasm device runs. */
export interface WasmOptions {
  /**
   * Threads, the calling one included; default: as many as the machine runs at once, at most 8. Without
   * `SharedArrayBuffer`, as in a page that is not cross-origin isolated, it is always one.
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

  upload(tensor: HostTensor): WasmTensor {
    if (tensor.dtype === "float64") {
      throw new TypeError(
        `Cannot put ${printSpec(tensor)} on ${this.name}: it has no float64; use cast(x, "float32"), ` +
          `or the device reference`,
      );
    }
    const created = new WasmTensor(this, tensor.shape, tensor.dtype);
    this.memory.write(created.address, tensor);
    return created;
  }
}

// Memory of tensors that were dropped without being disposed is given back when they are collected.
const dropped = new FinalizationRegistry<{ readonly memory: DeviceMemory; readonly address: number }>((
  { memory, address },
) => memory.free(address));

let serials = 0;

/** A tensor in the device's memory. */
export class WasmTensor implements DeviceTensor {
  readonly kind = "device";
  /** No other tensor has the same, also not one that takes over its memory. */
  readonly serial = ++serials;
  readonly device: string;
  readonly #memory: DeviceMemory;
  #address: number;
  #gone: "disposed" | "donated" | undefined;

  constructor(device: WasmDevice, readonly shape: readonly number[], readonly dtype: DType) {
    this.device = device.name;
    this.#memory = device.memory;
    this.#address = device.memory.allocate(sizeOf(shape) * 4, () => `it was for ${printSpec(this)}`);
    dropped.register(this, { memory: this.#memory, address: this.#address }, this);
  }

  get disposed(): boolean {
    return this.#gone !== undefined;
  }

  /** The byte address; throws once the memory is gone. */
  get address(): number {
    if (this.#gone === "donated") {
      throw new Error(
        `Cannot use a ${printSpec(this)} on ${this.device}: it was donated to an earlier call; ` +
          `use that call's result`,
      );
    }
    if (this.#gone) throw new Error(`Cannot use a ${printSpec(this)} on ${this.device}: it was disposed`);
    return this.#address;
  }

  // async, so that a disposed tensor rejects
  // deno-lint-ignore require-await
  async read(): Promise<HostTensor> {
    const data = this.#memory.read(this.address, this.dtype, sizeOf(this.shape));
    return { kind: "host", shape: this.shape, dtype: this.dtype, data };
  }

  /** Gives the memory back because a call took it over. */
  donate(): void {
    this.#release("donated");
  }

  [Symbol.dispose](): void {
    this.#release("disposed");
  }

  #release(reason: "disposed" | "donated"): void {
    if (this.#gone) return;
    this.#gone = reason;
    dropped.unregister(this);
    this.#memory.free(this.#address);
  }
}
