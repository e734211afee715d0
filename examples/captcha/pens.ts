/** What characters are drawn with: pens, and the clutter that comes with each. */
import type { Random } from "../support/program.ts";
import type { Point, Stroke } from "./glyphs.ts";

/** Pixels of a picture. */
export const HEIGHT = 64;
export const WIDTH = 160;

/** What characters are drawn with. */
export type Pen = keyof typeof PENS;

/** What a pen leaves of a stroke, how thick, and what clutter there is beside the characters. */
export interface PenStyle {
  readonly radius: readonly [least: number, most: number];
  marks(stroke: Stroke): readonly Stroke[];
  clutter(random: Random): readonly Stroke[];
  readonly clutterRadius: readonly [least: number, most: number];
}

/** The pens by their names. */
export const PENS = {
  /** Lines, and two waves across. */
  lines: {
    radius: [1.4, 2.4],
    marks: (stroke) => [stroke],
    clutter: (random) => [waveAcross(random), waveAcross(random)],
    clutterRadius: [0.5, 0.9],
  },
  /** Rows of dots, and dots everywhere. */
  dots: {
    radius: [1.1, 1.9],
    marks: dotsAlong,
    clutter: (random) =>
      Array.from({ length: 40 }, () => [[WIDTH * random.uniform(), HEIGHT * random.uniform()]]),
    clutterRadius: [1.1, 1.9],
  },
} satisfies Readonly<Record<string, PenStyle>>;

/** A number between two, by lot. */
export const between = (random: Random, [least, most]: readonly [number, number]) =>
  least + (most - least) * random.uniform();

/** A wave from one side to the other. */
function waveAcross(random: Random): Stroke {
  const [from, to] = [between(random, [10, HEIGHT - 10]), between(random, [10, HEIGHT - 10])];
  const [swing, phase] = [between(random, [2, 8]), between(random, [0, 2 * Math.PI])];
  return Array.from({ length: 17 }, (_, i): Point => {
    const part = i / 16;
    return [part * WIDTH, from + part * (to - from) + swing * Math.sin(phase + 7 * part)];
  });
}

/** Points along a stroke, each a mark of its own, four pixels apart. */
function dotsAlong(stroke: Stroke): readonly Stroke[] {
  const apart = 4.2;
  const dots: Stroke[] = [[stroke[0]]];
  let next = apart; // from the last corner
  for (let i = 1; i < stroke.length; i++) {
    const [[x, y], [toX, toY]] = [stroke[i - 1], stroke[i]];
    const length = Math.hypot(toX - x, toY - y);
    for (; next <= length; next += apart) {
      dots.push([[x + next / length * (toX - x), y + next / length * (toY - y)]]);
    }
    next -= length;
  }
  return dots;
}
