/** Tensors in the memory of a device: an address, which is freed once. */
import { DeviceLost } from "./backend.ts";
import { sizeOf } from "./shapes.ts";
import {
  type DeviceTensor,
  type DType,
  type HostTensor,
  printSpec,
  type Values,
} from "../src/tensor/tensor.ts";

/** The memory of a device, as its tensors need it. */
export interface TensorMemory {
  /** Allocates `bytes` bytes; `what` says in an error what they were for. */
  allocate(bytes: number, what: () => string): number;
  /** Frees it. */
  free(address: number): void;
  /** Copies elements out. */
  readTensor(address: number, dtype: DType, size: number): Values | Promise<Values>;
}

// The memory of tensors that were dropped without being disposed is freed when they are collected.
const dropped = new FinalizationRegistry<{ readonly memory: TensorMemory; readonly address: number }>((
  { memory, address },
) => memory.free(address));

let serials = 0;

/** A tensor in a device's memory. */
export class StoredTensor implements DeviceTensor {
  readonly kind = "device";
  /** No other tensor has the same one, not even one that takes over its memory. */
  readonly serial = ++serials;
  readonly #memory: TensorMemory;
  readonly #address: number;
  readonly #size: number;
  #gone: "disposed" | "donated" | undefined;

  /** @param device The device's name. */
  constructor(
    memory: TensorMemory,
    readonly device: string,
    readonly shape: readonly number[],
    readonly dtype: DType,
  ) {
    this.#memory = memory;
    this.#size = sizeOf(shape);
    this.#address = memory.allocate(this.#size * 4, () => `it was for ${printSpec(this)}`);
    dropped.register(this, { memory, address: this.#address }, this);
  }

  /** Whether it lies in this memory. */
  liesIn(memory: TensorMemory): boolean {
    return this.#memory === memory;
  }

  get disposed(): boolean {
    return this.#gone !== undefined;
  }

  /** The byte address; throws once the memory is freed. */
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

  async read(): Promise<HostTensor> {
    const data = await this.#memory.readTensor(this.address, this.dtype, this.#size);
    return { kind: "host", shape: this.shape, dtype: this.dtype, data };
  }

  /** Gives up the memory because a call took it over. */
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

/**
 * The error of a call on `device` that is given a tensor of another device, or of a lost device of the same
 * name.
 */
export function elsewhere(input: DeviceTensor, device: string): Error {
  if (input.device !== device) {
    return new TypeError(`Cannot run on ${device} with ${printSpec(input)} of the device ${input.device}`);
  }
  return new DeviceLost(
    `Cannot run on ${device} with ${
      printSpec(input)
    }: it lies on a device ${device} that was lost; go on from what ` +
      `was read before`,
  );
}

/** @throws TypeError for a tensor that devices with 4-byte elements cannot hold. */
export function checkStorable(tensor: HostTensor, device: string): void {
  if (tensor.dtype !== "float64") return;
  throw new TypeError(
    `Cannot put ${printSpec(tensor)} on ${device}: it has no float64; use cast(x, "float32"), ` +
      `or the device reference`,
  );
}
