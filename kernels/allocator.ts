/** An allocator of addresses in a linear memory, which knows nothing of their contents. */

/** What memory is held for. */
export type Holder = "tensors" | "packed operands" | "constants" | "tables" | "loops" | "scratch" | "others";

interface Gap {
  start: number;
  size: number;
}

/** Allocates and frees regions; adjacent free regions are merged. */
export class Allocator {
  /** Unused regions by address; no two of them touch. */
  readonly #free: Gap[] = [];
  #end: number;
  #used = 0;
  /** The sizes of regions by their address, for each holder. */
  readonly #held = new Map<Holder, Map<number, number>>();

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

  /** Where the last allocated region ends. */
  get end(): number {
    return this.#end;
  }

  /** What is free before that, by address. */
  get gaps(): readonly Readonly<Gap>[] {
    return this.#free;
  }

  /** Who holds how much, the largest first, for people. */
  describe(): string {
    const all = [...this.#held].filter(([, regions]) => regions.size > 0).map(([holder, regions]) => {
      const sizes = [...regions.values()];
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
      return { bytes, text: `${bytes} by ${holder} (${sizes.length}, the largest ${largest})` };
    });
    return all.sort((a, b) => b.bytes - a.bytes).map(({ text }) => text).join(", ") || "by nothing";
  }

  /**
   * A region of at least `bytes` bytes. If no free one is large enough it lies at the end; then `grow` is
   * called first with the required end of the memory, and may throw.
   */
  allocate(bytes: number, grow: (end: number) => void, holder: Holder = "others"): number {
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
    const regions = this.#held.get(holder) ?? new Map<number, number>();
    this.#held.set(holder, regions.set(start, size));
    this.#used += size;
    return start;
  }

  /** Frees what `allocate` returned. */
  free(start: number): void {
    const regions = [...this.#held.values()].find((regions) => regions.has(start));
    const size = regions?.get(start);
    if (size === undefined) throw new Error(`Cannot free address ${start}: it is not allocated`);
    regions?.delete(start);
    this.#used -= size;
    const after = this.#firstAfter(start);
    const before = after - 1;
    const follows = before >= 0 && this.#free[before].start + this.#free[before].size === start;
    const leads = this.#free[after]?.start === start + size;
    if (follows) {
      const gap = this.#free[before];
      gap.size += size;
      if (leads) gap.size += this.#free.splice(after, 1)[0].size;
    } else if (leads) {
      const gap = this.#free[after];
      gap.start = start;
      gap.size += size;
    } else this.#free.splice(after, 0, { start, size });
    const last = this.#free[this.#free.length - 1];
    if (last.start + last.size === this.#end) {
      this.#end = last.start;
      this.#free.pop();
    }
  }

  /** The index of the first unused region beyond an address. */
  #firstAfter(address: number): number {
    let low = 0, high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#free[middle].start > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
