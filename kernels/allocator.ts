/** An allocator of addresses in a linear memory, which knows nothing of their contents. */

interface Gap {
  start: number;
  size: number;
}

/** Allocates and frees regions; adjacent free regions are merged. */
export class Allocator {
  /** Unused regions by address. */
  #free: Gap[] = [];
  #end: number;
  #used = 0;
  readonly #sizes = new Map<number, number>();

  /**
   * @param reserved Bytes at the beginning that are never allocated.
   * @param alignment The alignment of every address and size, in bytes.
   */
  constructor(reserved: number, readonly alignment: number) {
    this.#end = Math.ceil(reserved / alignment) * alignment;
  }

  /** Allocated bytes. */
  get used(): number {
    return this.#used;
  }

  /**
   * A region of at least `bytes` bytes. If no free one is large enough it lies at the end; then `grow` is
   * called first with the required end of the memory, and may throw.
   */
  allocate(bytes: number, grow: (end: number) => void): number {
    const size = Math.max(this.alignment, Math.ceil(bytes / this.alignment) * this.alignment);
    const at = this.#free.findIndex((gap) => gap.size >= size);
    let start: number;
    if (at >= 0) {
      const gap = this.#free[at];
      start = gap.start;
      gap.start += size;
      gap.size -= size;
      if (gap.size === 0) this.#free.splice(at, 1);
    } else {
      start = this.#end;
      grow(start + size);
      this.#end = start + size;
    }
    this.#sizes.set(start, size);
    this.#used += size;
    return start;
  }

  /** Frees what `allocate` returned. */
  free(start: number): void {
    const size = this.#sizes.get(start);
    if (size === undefined) throw new Error(`Cannot free address ${start}: it is not allocated`);
    this.#sizes.delete(start);
    this.#used -= size;
    const at = this.#free.findIndex((gap) => gap.start > start);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, { start, size });
    const merged: Gap[] = [];
    for (const gap of this.#free) {
      const last = merged[merged.length - 1];
      if (last && last.start + last.size === gap.start) last.size += gap.size;
      else merged.push(gap);
    }
    const last = merged[merged.length - 1];
    if (last && last.start + last.size === this.#end) {
      this.#end = last.start;
      merged.pop();
    }
    this.#free = merged;
  }
}
