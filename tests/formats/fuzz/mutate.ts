/** Mutations of files for fuzzing: the same seed gives the same files. */

/** Draws whole numbers from 0 to below `limit`. */
export type Random = (limit: number) => number;

/** A generator of 32 bits (mulberry32, Ettinger, 2017). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return Math.floor(((word ^ (word >>> 14)) >>> 0) / 2 ** 32 * limit);
  };
}

/** Numbers at the edges of what lengths, counts and dimensions are stored in. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const mutations: readonly Mutation[] = [
  function flipBits(bytes, random) {
    for (let count = 1 + random(8); count > 0; count--) bytes[random(bytes.length)] ^= 1 << random(8);
    return bytes;
  },
  function overwriteBytes(bytes, random) {
    for (let count = 1 + random(4); count > 0; count--) bytes[random(bytes.length)] = random(256);
    return bytes;
  },
  function overwriteNumber(bytes, random) {
    const size = [1, 2, 4, 8][random(4)];
    const at = random(Math.max(1, bytes.length - size));
    let number = EXTREMES[random(EXTREMES.length)];
    for (let i = at; i < Math.min(bytes.length, at + size); i++, number >>= 8n) {
      bytes[i] = Number(number & 0xffn);
    }
    return bytes;
  },
  function truncate(bytes, random) {
    return bytes.slice(0, random(bytes.length));
  },
  function removeRange(bytes, random) {
    const [start, length] = [random(bytes.length), 1 + random(64)];
    return joined(bytes.subarray(0, start), bytes.subarray(start + length));
  },
  function duplicateRange(bytes, random) {
    const start = random(bytes.length);
    const range = bytes.subarray(start, start + 1 + random(64));
    return joined(bytes.subarray(0, start), range, bytes.subarray(start));
  },
  function copyRange(bytes, random) {
    const start = random(bytes.length);
    bytes.copyWithin(random(bytes.length), start, start + 1 + random(64));
    return bytes;
  },
];

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A copy of the file with one to three mutations. */
export function mutate(file: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = file.slice();
  for (let count = 1 + random(3); count > 0 && bytes.length > 0; count--) {
    bytes = mutations[random(mutations.length)](bytes, random);
  }
  return bytes;
}
