/**
 * Threefry-2x32 with 20 rounds: the counter-based random function that makes every random bit, on the host
 * and on every backend. A pure function of integers; keys and distributions live elsewhere.
 *
 * Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), and its library
 * Random123.
 */

/** The constant of the key schedule: Skein's 0x1BD11BDAA9FC1A22, high word. */
const PARITY = 0x1bd11bda;

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/**
 * Two random words for a key and a counter of two words each.
 *
 * @param key0 First word of the key; only the low 32 bits of each argument are used, signed or unsigned
 * alike.
 * @param key1 Second word of the key.
 * @param counter0 First word of the counter.
 * @param counter1 Second word of the counter.
 * @returns The two words as signed 32-bit integers, as an `int32` tensor stores them.
 */
export function threefry2x32(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
): [number, number] {
  // The schedule cycles through three words; `a` is added before the next four rounds, `b` before those after
  // them.
  let a = key0 | 0;
  let b = key1 | 0;
  let c = PARITY ^ key0 ^ key1;
  let x = (counter0 + a) | 0;
  let y = (counter1 + b) | 0;
  for (let injection = 1; injection <= 5; injection++) {
    const odd = (injection & 1) === 1;
    x = (x + y) | 0;
    y = rotateLeft(y, odd ? 13 : 17) ^ x;
    x = (x + y) | 0;
    y = rotateLeft(y, odd ? 15 : 29) ^ x;
    x = (x + y) | 0;
    y = rotateLeft(y, odd ? 26 : 16) ^ x;
    x = (x + y) | 0;
    y = rotateLeft(y, odd ? 6 : 24) ^ x;
    const first = a;
    a = b;
    b = c;
    c = first;
    x = (x + a) | 0;
    y = (y + b + injection) | 0;
  }
  return [x, y];
}
