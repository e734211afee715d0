/** Mutations of bytes, and the generator that draws them. */

/** A generator of whole numbers below `bound`, the same for the same seed (mulberry32). */
export type Random = (bound: number) => number;

/** Draws from a seed. */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** A seed nobody has tried: it must be printed, so that what it finds can be found again. */
export function drawSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000_000;
}

/** Numbers at which sizes and offsets break. */
const EXTREMES = [0n, 1n, 7n, 0x7fn, 0x80n, 0xffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn]
  .concat([2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]);
const EXTREME_TEXTS = [
  "-1",
  "0",
  "1e999",
  "9007199254740993",
  "18446744073709551616",
  "null",
  "[]",
  "{}",
  '"',
  "NaN",
];

type Mutation = (bytes: Uint8Array, draw: Random) => Uint8Array;

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** A place in a file: headers are at its beginning or end, so these are drawn more often. */
function place(bytes: Uint8Array, draw: Random): number {
  const near = Math.min(bytes.length, 1 << (3 + draw(8)));
  const at = draw(3) === 0 ? draw(bytes.length || 1) : draw(near || 1);
  return draw(4) === 0 ? Math.max(0, bytes.length - 1 - at) : at;
}

const mutations: readonly Mutation[] = [
  function flip(bytes, draw) {
    const changed = bytes.slice();
    for (let count = draw(4); count >= 0 && changed.length > 0; count--) {
      changed[place(bytes, draw)] ^= 1 << draw(8);
    }
    return changed;
  },
  function truncate(bytes, draw) {
    return bytes.slice(0, place(bytes, draw));
  },
  function extend(bytes, draw) {
    return joined(bytes, Uint8Array.from({ length: 1 + draw(64) }, () => draw(256)));
  },
  function splice(bytes, draw) {
    const [start, end] = [place(bytes, draw), place(bytes, draw)].sort((a, b) => a - b);
    return joined(bytes.subarray(0, start), bytes.subarray(end));
  },
  function duplicate(bytes, draw) {
    const [start, end] = [place(bytes, draw), place(bytes, draw)].sort((a, b) => a - b);
    const at = place(bytes, draw);
    return joined(bytes.subarray(0, at), bytes.subarray(start, end), bytes.subarray(at));
  },
  function extreme(bytes, draw) {
    const changed = bytes.slice();
    const size = [1, 2, 4, 8][draw(4)];
    const at = draw(2) === 0 ? 0 : place(bytes, draw);
    if (at + size > changed.length) return changed;
    const value = EXTREMES[draw(EXTREMES.length)];
    for (let i = 0; i < size; i++) changed[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return changed;
  },
  function extremeText(bytes, draw) {
    const at = place(bytes, draw);
    const text = new TextEncoder().encode(EXTREME_TEXTS[draw(EXTREME_TEXTS.length)]);
    // In place of a number, where there is one.
    let [start, end] = [at, at];
    const isDigit = (index: number) => bytes[index] >= 0x30 && bytes[index] <= 0x39;
    while (start < bytes.length && start < at + 64 && !isDigit(start)) start++;
    for (end = start; isDigit(end);) end++;
    return joined(bytes.subarray(0, start), text, bytes.subarray(end));
  },
];

/** A file with one to three mutations. */
export function mutate(bytes: Uint8Array, draw: Random): Uint8Array {
  let changed = bytes;
  for (let count = draw(3); count >= 0; count--) changed = mutations[draw(mutations.length)](changed, draw);
  return changed;
}
