/**
 * Scratch: memory for what lives during one call only, the intermediate results of a Program and the tensors
 * that a call brings from the host. Calls follow one another, so all executables of a device share it, and it
 * is as large as the largest call needs.
 */

/** How it gets memory. */
interface Allocator {
  allocate(bytes: number, what: () => string): number;
  free(address: number): void;
}

/** Memory that is shared by calls, which do not overlap. */
export class Scratch {
  #address = 0;
  #bytes = 0;

  constructor(readonly memory: Allocator) {}

  /** Bytes that it has now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The address of at least this many bytes; another call may get the same, or others. */
  take(bytes: number, what: () => string): number {
    if (bytes > this.#bytes) {
      this.clear();
      this.#address = this.memory.allocate(bytes, what);
      this.#bytes = bytes;
    }
    return this.#address;
  }

  /** Gives all memory back. */
  clear(): void {
    if (this.#bytes > 0) this.memory.free(this.#address);
    this.#bytes = 0;
  }
}
