/** Tensors in the memory of a device: an address, which is freed once. */
import type { Holder } from "./allocator.ts";
import { DeviceLost } from "./backend.ts";
import { sizeOf } from "./shapes.ts";
import { checkFilled } from "../src/tensor/filled.ts";
import {
  type DeviceTensor,
  type DType,
  type HostTensor,
  printSpec,
  type Values,
} from "../src/tensor/tensor.ts";
import { INSPECT } from "../src/inspect.ts";
import { printable } from "../src/tensor/print.ts";

/** The memory of a device, as its tensors need it. */
export interface TensorMemory {
  /** Allocates `bytes` bytes; `what` says in an error what they were for, and `holder` for what they are held. */
  allocate(bytes: number, what: () => string, holder: Holder): number;
  /** Frees it. */
  free(address: number): void;
  /** Copies elements out. */
  readTensor(address: number, dtype: DType, size: number): Values | Promise<Values>;
}

// The memory of tensors that were dropped without being disposed is freed when they are collected.
const dropped = new FinalizationRegistry<Held>(free);

function free({ memory, address, attached }: Held): void {
  if (address !== undefined) memory.free(address);
  for (const more of attached?.values() ?? []) memory.free(more.address);
  attached?.clear();
}

/** The memory of a tensor. */
interface Held {
  readonly memory: TensorMemory;
  /** Absent as long as it is not copied. */
  address: number | undefined;
  /** Further memory that belongs to it, by what it is for; most tensors have none. */
  attached?: Map<string, Attached>;
}

/** Memory that belongs to a tensor, for another form of it. */
export interface Attached {
  readonly address: number;
  /** Whether it has been filled. */
  isReady: boolean;
}

/** What a tensor is a copy of. */
export interface Source {
  readonly tensor: HostTensor;
  /** Copies it to an address. */
  readonly write: (address: number) => void;
}

let serials = 0;

/** A tensor in a device's memory. */
export class StoredTensor implements DeviceTensor {
  readonly kind = "device";
  /** No other tensor has the same one, not even one that takes over its memory. */
  readonly serial = ++serials;
  readonly #memory: TensorMemory;
  readonly #held: Held;
  readonly #size: number;
  /** The tensor on the host that this one is a copy of, made when its address is first asked for. */
  #source: Source | undefined;
  /** How many users keep its memory although it may be disposed of. */
  #users = 0;
  #gone: "disposed" | "donated" | undefined;

  /**
   * @param device The device's name.
   * @param source What it is a copy of, if that is not copied before somebody needs it; it must not change.
   */
  constructor(
    memory: TensorMemory,
    readonly device: string,
    readonly shape: readonly number[],
    readonly dtype: DType,
    source?: Source,
  ) {
    this.#memory = memory;
    this.#size = sizeOf(shape);
    this.#source = source;
    this.#held = { memory, address: source ? undefined : this.#allocate() };
    dropped.register(this, this.#held, this);
  }

  #allocate(): number {
    return this.#memory.allocate(this.#size * 4, () => `it was for ${printSpec(this)}`, "tensors");
  }

  /** The tensor on the host that it is a copy of, as long as that is not copied. */
  get source(): HostTensor | undefined {
    this.#check();
    return this.#source?.tensor;
  }

  /**
   * Memory that belongs to this tensor and is freed with it, for what `key` names: allocated at the first
   * call.
   */
  attach(key: string, bytes: number): Attached {
    const attached = this.#held.attached ??= new Map();
    let found = attached.get(key);
    if (!found) {
      const address = this.#memory.allocate(
        bytes,
        () => `it was for a form of ${printSpec(this)}`,
        "packed operands",
      );
      attached.set(key, found = { address, isReady: false });
    }
    return found;
  }

  /** Keeps the memory, even if the tensor is disposed of, until the result is. */
  retain(): Disposable {
    this.#check();
    this.#users++;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#users--;
        if (this.#gone) this.#free();
      },
    };
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
    this.#check();
    const held = this.#held;
    if (held.address === undefined) {
      held.address = this.#allocate();
      this.#source?.write(held.address);
      this.#source = undefined;
    }
    return held.address;
  }

  #check(): void {
    if (this.#gone === "donated") {
      throw new Error(
        `Cannot use a ${printSpec(this)} on ${this.device}: it was donated to an earlier call; ` +
          `use that call's result`,
      );
    }
    if (this.#gone) throw new Error(`Cannot use a ${printSpec(this)} on ${this.device}: it was disposed`);
  }

  async read(): Promise<HostTensor> {
    const data = await this.#memory.readTensor(this.address, this.dtype, this.#size);
    return printable<HostTensor>({ kind: "host", shape: this.shape, dtype: this.dtype, data });
  }

  [INSPECT](): string {
    return `${printSpec(this)} on ${this.device}${this.disposed ? ", disposed" : ""}`;
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
    this.#free();
  }

  #free(): void {
    if (this.#users > 0) return;
    dropped.unregister(this);
    free(this.#held);
    this.#source = undefined;
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

/**
 * @throws TypeError for a tensor that devices with 4-byte elements cannot hold; RangeError for one without a value
 *   for each element.
 */
export function checkStorable(tensor: HostTensor, device: string): void {
  checkFilled(tensor, () => `a tensor on ${device}`);
  if (tensor.dtype !== "float64") return;
  throw new TypeError(
    `Cannot put ${printSpec(tensor)} on ${device}: it has no float64; use cast(x, "float32"), ` +
      `or the device reference`,
  );
}
