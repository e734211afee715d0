/** Made-up pictures of characters in a row, as captchas have them: each turned, sheared and moved, with clutter. */
import * as cf from "@cellfold/cellfold";
import { type Random, randomFrom } from "../support/program.ts";
import { BOX, CHARACTERS, type Point, type Stroke, strokesOf } from "./glyphs.ts";

/** Pixels of a picture. */
export const HEIGHT = 64;
export const WIDTH = 160;

/** The most characters in a picture; the fewest are one less. */
export const LONGEST = 5;

/** What characters are drawn with. */
export type Pen = keyof typeof PENS;

/** Pictures of texts. */
export interface Pictures {
  readonly texts: readonly string[];
  /** From 0 (ink) to 1 (paper), `[count, 1, 64, 160]`. */
  readonly pixels: cf.HostTensor;
}

/** What a pen leaves of a stroke, how thick, and what clutter there is beside the characters. */
interface PenStyle {
  readonly radius: readonly [least: number, most: number];
  marks(stroke: Stroke): readonly Stroke[];
  clutter(random: Random): readonly Stroke[];
  readonly clutterRadius: readonly [least: number, most: number];
}

const PENS = {
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

/** So many pictures of texts that are drawn by lot. */
export function makePictures(count: number, { pen, seed }: { pen: Pen; seed: number }): Pictures {
  const random = randomFrom(seed);
  const pixels = new Float32Array(count * HEIGHT * WIDTH);
  const texts = Array.from({ length: count }, (_, i) => {
    const length = LONGEST - random.below(2);
    const text = Array.from({ length }, () => random.pick([...CHARACTERS])).join("");
    draw(pixels.subarray(i * HEIGHT * WIDTH, (i + 1) * HEIGHT * WIDTH), text, PENS[pen], random);
    return text;
  });
  return { texts, pixels: cf.tensor(pixels, { shape: [count, 1, HEIGHT, WIDTH] }) };
}

/** The pixels of the first pictures. */
export function firstOf({ pixels }: Pictures, count: number): cf.HostTensor {
  return cf.host(cf.slice(pixels, { start: [0, 0, 0, 0], size: [count, 1, HEIGHT, WIDTH] }));
}

/** The ink of a picture, from 0 (paper) to 1, `[64, 160]`. */
export function inkOf(pixels: cf.HostTensor, index: number): cf.HostTensor {
  return cf.host(cf.sub(1, cf.reshape(cf.at(pixels, index), [HEIGHT, WIDTH])));
}

const between = (random: Random, [least, most]: readonly [number, number]) =>
  least + (most - least) * random.uniform();

/** Draws a text with ink of its own darkness on gray paper with noise. */
function draw(pixels: Float32Array, text: string, style: PenStyle, random: Random): void {
  const paper = between(random, [0.85, 1]);
  const ink = between(random, [0, 0.35]);
  const covered = new Float32Array(pixels.length);
  const room = (WIDTH - 16) / text.length;
  [...text].forEach((character, i) => {
    const move = placement(random, 8 + room * (i + 0.5), Math.min(room, 32));
    const radius = between(random, style.radius);
    const strokes = strokesOf(character).map((stroke) => stroke.map(move));
    for (const mark of strokes.flatMap(style.marks)) cover(covered, mark, radius);
  });
  for (const mark of style.clutter(random)) cover(covered, mark, between(random, style.clutterRadius));
  covered.forEach((part, at) => {
    const value = paper + part * (ink - paper) + 0.05 * random.normal();
    pixels[at] = Math.min(1, Math.max(0, value));
  });
}

/** Where a point of a glyph is in the picture. */
function placement(random: Random, center: number, room: number): (point: Point) => Point {
  const width = between(random, [0.6, 0.75]) * room / BOX.width;
  const height = between(random, [0.5, 0.65]) * HEIGHT / BOX.height;
  const angle = between(random, [-0.25, 0.25]);
  const shear = between(random, [-0.2, 0.2]);
  const middle = HEIGHT / 2 + between(random, [-5, 5]);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return ([x, y]) => {
    const down = (y - BOX.height / 2) * height;
    const across = (x - BOX.width / 2) * width - shear * down;
    return [center + cos * across - sin * down, middle + sin * across + cos * down];
  };
}

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

/** Covers the pixels that a pen of this radius touches, by the part that it covers; one point is a dot. */
function cover(covered: Float32Array, mark: Stroke, radius: number): void {
  mark.forEach(([x, y], i) => {
    const [toX, toY] = mark[i + 1] ?? [x, y];
    const [dx, dy] = [toX - x, toY - y];
    const square = dx * dx + dy * dy || 1;
    const first = (a: number, b: number) => Math.max(0, Math.floor(Math.min(a, b) - radius - 1));
    const last = (a: number, b: number, size: number) =>
      Math.min(size - 1, Math.ceil(Math.max(a, b) + radius + 1));
    for (let row = first(y, toY); row <= last(y, toY, HEIGHT); row++) {
      for (let column = first(x, toX); column <= last(x, toX, WIDTH); column++) {
        const along = Math.min(1, Math.max(0, ((column - x) * dx + (row - y) * dy) / square));
        const distance = Math.hypot(column - x - along * dx, row - y - along * dy);
        const at = row * WIDTH + column;
        covered[at] = Math.max(covered[at], Math.min(1, Math.max(0, radius + 0.5 - distance)));
      }
    }
  });
}
