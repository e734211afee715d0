/**
 * The device's memory: one WebAssembly memory that grows, and an allocator over it. Addresses and sizes are bytes.
 * Executables, parameters and results all lie here, so that they are shared without a copy.
 */
import { allocateValues, type DType, type HostTensor, type Values } from "../../src/tensor/tensor.ts";

const PAGE = 65536;
/** The most pages that a 32-bit memory can have. */
export const MAXIMUM_PAGES = 65536;
const ALIGNMENT = 64;

interface Free {
  start: number;
  size: number;
}

/** Memory that can be allocated and freed. */
export class DeviceMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** Unused ranges by address; neighbours are merged. */
  #free: Free[] = [];
  #end: number;
  readonly #sizes = new Map<number, number>();

  /** @param reserved Bytes at the beginning that are never handed out. */
  constructor(reserved: number) {
    this.shared = typeof SharedArrayBuffer !== "undefined";
    const initial = Math.ceil(reserved / PAGE) + 16;
    this.memory = new WebAssembly.Memory({ initial, maximum: MAXIMUM_PAGES, shared: this.shared });
    this.#end = Math.ceil(reserved / ALIGNMENT) * ALIGNMENT;
  }

  /** Bytes handed out. */
  get used(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /**
   * Memory for `bytes` bytes, aligned to 64.
   *
   * @throws RangeError if the engine has no more; `what` says what it was for.
   */
  allocate(bytes: number, what: () => string): number {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const at = this.#free.findIndex((range) => range.size >= size);
    let start: number;
    if (at >= 0) {
      const range = this.#free[at];
      start = range.start;
      range.start += size;
      range.size -= size;
      if (range.size === 0) this.#free.splice(at, 1);
    } else {
      start = this.#end;
      this.#grow(start + size, what);
      this.#end = start + size;
    }
    this.#sizes.set(start, size);
    return start;
  }

  #grow(end: number, what: () => string): void {
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    const most = MAXIMUM_PAGES - this.memory.buffer.byteLength / PAGE;
    try {
      if (missing > most) throw new RangeError("more than 4 GiB");
      // In larger pieces, as growing may move or remap the memory.
      this.memory.grow(Math.min(most, Math.max(missing, 256)));
    } catch (cause) {
      throw new RangeError(
        `Cannot allocate memory for wasm: ${end} bytes in all are more than the engine gives; ${what()}`,
        {
          cause,
        },
      );
    }
  }

  /** Gives back what `allocate` gave. */
  free(start: number): void {
    const size = this.#sizes.get(start);
    if (size === undefined) throw new Error(`Cannot free address ${start}: it is not allocated`);
    this.#sizes.delete(start);
    const at = this.#free.findIndex((range) => range.start > start);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, { start, size });
    const merged: Free[] = [];
    for (const range of this.#free) {
      const last = merged[merged.length - 1];
      if (last && last.start + last.size === range.start) last.size += range.size;
      else merged.push(range);
    }
    const last = merged[merged.length - 1];
    if (last && last.start + last.size === this.#end) {
      this.#end = last.start;
      merged.pop();
    }
    this.#free = merged;
  }

  /** The words at an address. */
  words(address: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, count);
  }

  /** Copies a host tensor in; 4 bytes per element. */
  write(address: number, { data, dtype }: HostTensor): void {
    if (dtype === "float32") new Float32Array(this.memory.buffer, address, data.length).set(data);
    else this.words(address, data.length).set(data);
  }

  /** Copies bytes within the memory. */
  copy(from: number, to: number, bytes: number): void {
    new Uint8Array(this.memory.buffer).copyWithin(to, from, from + bytes);
  }

  /** Copies elements out. */
  read(address: number, dtype: DType, size: number): Values {
    const values = allocateValues(dtype, size);
    if (dtype === "float32") values.set(new Float32Array(this.memory.buffer, address, size));
    else values.set(this.words(address, size));
    return values;
  }
}
