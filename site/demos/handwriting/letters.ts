/**
 * Writes words with the letters of a stroke font, each time a little different: what the model is trained on, and what the
 * page writes for a visitor who has no pen.
 */
import { type Point, smooth, type Stroke } from "./ink.ts";

/** A letter in units of the font: 9 are the height of an x, and y is 22 on the line. */
interface Letter {
  /** `[x0, y0, x1, y1, …]` of each. */
  readonly strokes: readonly (readonly number[])[];
  /** The dot of an i and the bar of a t, which are written after the rest. */
  readonly marks: readonly (readonly number[])[];
  /** Where the next letter begins. */
  readonly exit: number;
}

/** The letters a to z, from `public/data/script-letters.json`. */
export type Letters = Readonly<Record<string, Letter>>;

/** How a hand writes. */
export interface Hand {
  /** The height of its x. */
  readonly size: number;
  /** The width of a letter beside its height, and the extra slant. */
  readonly width: number;
  readonly slant: number;
  /** The gap between words. */
  readonly gap: number;
  /** How far and how fast ink strays from the letters. */
  readonly wobble: number;
}

const [UNIT, BASELINE] = [9, 22];

/** A number from 0 to 1, such as `Math.random`. */
export type Random = () => number;

/** The same numbers for the same seed: the generator mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A hand of some size that is like others, but not the same. */
export function handFrom(random: Random): Hand {
  const between = (low: number, high: number) => low + (high - low) * random();
  return {
    size: between(0.8, 1.25),
    width: between(0.85, 1.25),
    slant: between(-0.2, 0.3),
    gap: between(0.7, 1.3),
    wobble: between(0, 0.12),
  };
}

/** Strays slowly: a sum of waves along what is written. */
function waves(random: Random, size: number): (at: number) => number {
  const parts = Array.from(
    { length: 3 },
    () => [0.4 + 2 * random(), 2 * Math.PI * random(), random()] as const,
  );
  return (at) =>
    size * parts.reduce((sum, [speed, phase, share]) => sum + share * Math.sin(speed * at + phase), 0);
}

/** How close to the pen, in heights of an x, a stroke begins that it goes on with unlifted: letters join. */
const JOINED = 0.4;

/** The strokes of words on a line that begins at `[0, 0]`; characters that are no letters are left out. */
export function writeWords(letters: Letters, words: readonly string[], hand: Hand, random: Random): Stroke[] {
  const strokes: Point[][] = [];
  const [strayX, strayY] = [waves(random, hand.wobble), waves(random, hand.wobble)];
  let start = 0;
  for (const word of words) {
    let isFirst = true; // of its word
    for (const character of word) {
      const letter = letters[character];
      if (!letter) continue;
      const stretch = 1 + 2 * hand.wobble * (random() - 0.5);
      const place = (x: number, y: number): Point => {
        const height = (BASELINE - y) / UNIT * stretch;
        const along = start + hand.width * x / UNIT + hand.slant * height;
        return [hand.size * (along + strayX(along + height)), hand.size * (strayY(along - height) - height)];
      };
      for (const flat of [...letter.strokes, ...letter.marks]) {
        const points = Array.from({ length: flat.length / 2 }, (_, i) => place(flat[2 * i], flat[2 * i + 1]));
        const last = strokes.at(-1);
        const [[x, y], [penX, penY]] = [points[0], last?.at(-1) ?? [Infinity, 0]];
        if (last && !isFirst && Math.hypot(x - penX, y - penY) < JOINED * hand.size) last.push(...points);
        else strokes.push(points);
        isFirst = false;
      }
      start += hand.width * letter.exit / UNIT;
    }
    start += hand.gap;
  }
  return strokes.map((stroke) => smooth(stroke));
}
