/** Regions of a linear memory: an allocator of addresses, which knows nothing of their contents. */

interface Region {
  start: number;
  size: number;
}

/** Allocates and frees regions; adjacent free regions are merged. */
export class Regions {
  /** Unused regions by address. */
  #free: Region[] = [];
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
    const at = this.#free.findIndex((region) => region.size >= size);
    let start: number;
    if (at >= 0) {
      const region = this.#free[at];
      start = region.start;
      region.start += size;
      region.size -= size;
      if (region.size === 0) this.#free.splice(at, 1);
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
    const at = this.#free.findIndex((region) => region.start > start);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, { start, size });
    const merged: Region[] = [];
    for (const region of this.#free) {
      const last = merged[merged.length - 1];
      if (last && last.start + last.size === region.start) last.size += region.size;
      else merged.push(region);
    }
    const last = merged[merged.length - 1];
    if (last && last.start + last.size === this.#end) {
      this.#end = last.start;
      merged.pop();
    }
    this.#free = merged;
  }
}
