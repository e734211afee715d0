/**
 * The device's memory: one WebAssembly memory that grows, and an allocator over it. Addresses and sizes are
 * bytes. Executables, parameters and results all lie here, so that they are shared without a copy.
 */
import { allocateValues, type DType, type HostTensor, type Values } from "../../src/tensor/tensor.ts";
import { DeviceOutOfMemory, DeviceUnavailable } from "../backend.ts";
import { Allocator, type Holder } from "../allocator.ts";
import type { TensorMemory } from "../stored_tensor.ts";

const PAGE = 65536;
/** The most pages that a 32-bit memory can have. */
export const MAXIMUM_PAGES = 65536;
const ALIGNMENT = 64;
/** The last buffer must end at or before this address. */
const LAST_END = (MAXIMUM_PAGES - 1) * PAGE;

/** Memory that can be allocated and freed. */
export class DeviceMemory implements TensorMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly #allocator: Allocator;
  #buffer: ArrayBufferLike;

  /** @param reserved Bytes at the beginning that are never allocated. */
  constructor(reserved: number) {
    const sizes = { initial: Math.ceil(reserved / PAGE) + 16, maximum: MAXIMUM_PAGES };
    this.memory = sharedMemory(sizes) ?? ownMemory(sizes);
    this.shared = typeof SharedArrayBuffer !== "undefined" && this.memory.buffer instanceof SharedArrayBuffer;
    this.#buffer = this.memory.buffer;
    this.#allocator = new Allocator(reserved, ALIGNMENT);
  }

  /**
   * The buffer of the memory; another one after it has grown. The engine's own property allocates at each
   * read.
   */
  get buffer(): ArrayBufferLike {
    return this.#buffer;
  }

  /** Allocated bytes. */
  get used(): number {
    return this.#allocator.used;
  }

  /**
   * Memory for `bytes` bytes, aligned to 64.
   *
   * @throws RangeError if the engine has no more; `what` names what it was for, and all who hold memory are listed.
   */
  allocate(bytes: number, what: () => string, holder?: Holder): number {
    return this.#allocator.allocate(bytes, (end) => this.#grow(end, what), holder);
  }

  #grow(end: number, what: () => string): void {
    const missing = Math.ceil((end - this.#buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    const most = MAXIMUM_PAGES - this.#buffer.byteLength / PAGE;
    try {
      // The end of a buffer must be a 32-bit address too, and 2³² is not.
      if (end > LAST_END) throw new RangeError("more than 4 GiB");
      this.#growBy(missing, most);
    } catch (cause) {
      throw new DeviceOutOfMemory(
        `Cannot allocate memory for wasm: ${end} bytes in all are more than the engine gives, which has ` +
          `${this.#buffer.byteLength} and can have ${
            MAXIMUM_PAGES * PAGE
          } at most; ${this.used} bytes are in use: ${this.#allocator.describe()}; ${what()}`,
        { cause },
      );
    }
  }

  /**
   * Grows in large pieces, as growing may move or remap the memory; if the engine cannot, by exactly what is
   * missing.
   */
  #growBy(missing: number, most: number): void {
    try {
      this.memory.grow(Math.min(most, Math.max(missing, 256)));
    } catch (error) {
      if (missing >= 256) throw error;
      this.memory.grow(missing);
    }
    this.#buffer = this.memory.buffer;
  }

  /** Frees what `allocate` returned. */
  free(start: number): void {
    this.#allocator.free(start);
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

type Sizes = { readonly initial: number; readonly maximum: number };

/**
 * Shared memory for threads; undefined if the page may not share memory, or the engine cannot reserve its
 * full size.
 */
function sharedMemory(sizes: Sizes): WebAssembly.Memory | undefined {
  if (typeof SharedArrayBuffer === "undefined") return undefined;
  try {
    return new WebAssembly.Memory({ ...sizes, shared: true });
  } catch {
    return undefined;
  }
}

function ownMemory(sizes: Sizes): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(sizes);
  } catch (cause) {
    throw new DeviceUnavailable("wasm", "the engine gives no memory for it", { cause });
  }
}
