/** Planning memory: pieces that are never live at the same time may share a place. */

/** The size of a piece, and the steps during which it is live, both ends included. */
export interface Life {
  readonly size: number;
  readonly first: number;
  readonly last: number;
}

/** The place of every piece, and the total size. */
export interface MemoryPlan<Key> {
  readonly offsets: ReadonlyMap<Key, number>;
  readonly size: number;
}

/** Places every piece at a multiple of `alignment`: the largest first, so that small pieces fill the gaps. */
export function planMemory<Key>(lives: ReadonlyMap<Key, Life>, alignment: number): MemoryPlan<Key> {
  const offsets = new Map<Key, number>();
  /** By their starts. */
  const placed: (Life & { readonly start: number; readonly end: number })[] = [];
  let total = 0;
  for (const [key, life] of [...lives].sort(([, a], [, b]) => b.size - a.size)) {
    const size = Math.ceil(life.size / alignment) * alignment;
    let start = 0;
    for (const { first, last, start: from, end } of placed) {
      if (first > life.last || life.first > last) continue;
      if (from >= start + size) break;
      start = Math.max(start, end);
    }
    offsets.set(key, start);
    const after = placed.findIndex((other) => other.start > start);
    placed.splice(after < 0 ? placed.length : after, 0, { ...life, start, end: start + size });
    total = Math.max(total, start + size);
  }
  return { offsets, size: total };
}
