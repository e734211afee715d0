/**
 * The memory of a device: a range of addresses that is reserved once, of which the system provides what is written, and an
 * allocator over it. JavaScript sees as much of it as is in use, through a buffer that is replaced as that grows.
 * Addresses and sizes are bytes.
 */
import { allocateValues, type DType, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import { Allocator, type Holder } from "../allocator.ts";
import { DeviceOutOfMemory } from "../backend.ts";
import type { CpuMemory } from "../cpu/device.ts";

const ALIGNMENT = 64;

/** Address 0 is no address. */
const RESERVED = 64;

/**
 * Free memory goes back to the system once more of it than this, and more than is in use, waits to be used again: a step
 * frees what it was given and allocates what it gives, and would otherwise be provided with new pages each time. What
 * lies free between two pieces in use goes back if it has this many bytes.
 */
const MOST_WAITING = 1 << 25, LEAST_GAP = 1 << 16;

/** Bytes of the first buffer. */
const FIRST_BYTES = 1 << 24;

/** Where the memory comes from. */
export interface Reserved {
  /** A buffer over its first bytes. */
  readonly bufferOf: (bytes: number) => ArrayBuffer;
  /** Gives the pages of a range back to the system. */
  readonly giveBack: (address: number, bytes: number) => void;
  /** The addresses that there are, and the bytes of memory that the machine has. */
  readonly bytes: number;
  readonly machineBytes: number;
}

/** Memory that can be allocated and freed. */
export class NativeMemory implements CpuMemory {
  readonly #reserved: Reserved;
  readonly #allocator = new Allocator(RESERVED, ALIGNMENT);
  readonly #sizes = new Map<number, number>();
  /** Where what may have been written ends, since pages last went back. */
  #touched = RESERVED;
  /** About how many free bytes before it were written since then. */
  #waiting = 0;
  #buffer: ArrayBuffer;

  constructor(reserved: Reserved) {
    this.#reserved = reserved;
    this.#buffer = reserved.bufferOf(Math.min(FIRST_BYTES, reserved.bytes));
  }

  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /** The bytes of memory that the machine has. */
  get machineBytes(): number {
    return this.#reserved.machineBytes;
  }

  /** Allocated bytes. */
  get used(): number {
    return this.#allocator.used;
  }

  /**
   * Memory for `bytes` bytes, aligned to 64.
   *
   * @throws RangeError if the machine has no more; `what` names what it was for.
   */
  allocate(bytes: number, what: () => string, holder?: Holder): number {
    const address = this.#allocator.allocate(bytes, (end) => this.#grow(end, what), holder);
    this.#sizes.set(address, bytes);
    this.#waiting = Math.max(0, this.#waiting - Math.max(0, Math.min(bytes, this.#touched - address)));
    this.#touched = Math.max(this.#touched, address + bytes);
    return address;
  }

  #grow(end: number, what: () => string): void {
    const { bytes, machineBytes, bufferOf } = this.#reserved;
    const most = Math.min(bytes, machineBytes);
    if (end > most) {
      throw new DeviceOutOfMemory(
        `Cannot allocate memory for native: ${end} bytes in all are more than the ${most} that the machine has; ` +
          `${this.used} bytes are in use: ${this.#allocator.describe()}; ${what()}`,
      );
    }
    if (end <= this.#buffer.byteLength) return;
    let size = this.#buffer.byteLength;
    while (size < end) size *= 2;
    this.#buffer = bufferOf(Math.min(size, bytes));
  }

  /** Frees what `allocate` returned. */
  free(start: number): void {
    this.#allocator.free(start);
    this.#waiting += this.#sizes.get(start) ?? 0;
    this.#sizes.delete(start);
    if (this.#waiting > Math.max(MOST_WAITING, this.used)) this.#giveBack();
  }

  #giveBack(): void {
    const { end, gaps } = this.#allocator;
    for (const { start, size } of [...gaps, { start: end, size: this.#touched - end }]) {
      if (size >= LEAST_GAP) this.#reserved.giveBack(start, size);
    }
    this.#touched = end;
    this.#waiting = 0;
  }

  /** The words at an address. */
  words(address: number, count: number): Int32Array {
    return new Int32Array(this.#buffer, address, count);
  }

  /** Copies a host tensor in; 4 bytes per element. */
  write(address: number, { data, dtype }: HostTensor): void {
    if (dtype === "float32") new Float32Array(this.#buffer, address, data.length).set(data);
    else this.words(address, data.length).set(data);
  }

  /** Copies bytes within the memory. */
  copy(from: number, to: number, bytes: number): void {
    new Uint8Array(this.#buffer).copyWithin(to, from, from + bytes);
  }

  /** Copies elements out. */
  readTensor(address: number, dtype: DType, size: number): Values {
    const values = allocateValues(dtype, size);
    if (dtype === "float32") values.set(new Float32Array(this.#buffer, address, size));
    else values.set(this.words(address, size));
    return values;
  }
}
