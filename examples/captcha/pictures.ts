/** Made-up pictures of characters in a row, as captchas have them: each turned, sheared and moved, with clutter. */
import * as cf from "@cellfold/cellfold";
import { type Random, randomFrom } from "../support/program.ts";
import { BOX, CHARACTERS, type Point, type Stroke, strokesOf } from "./glyphs.ts";
import { between, HEIGHT, type Pen, PENS, type PenStyle, WIDTH } from "./pens.ts";

export { HEIGHT, type Pen, WIDTH } from "./pens.ts";

/** The most characters in a picture; the fewest are one less. */
export const LONGEST = 5;

/** Pictures of texts. */
export interface Pictures {
  readonly texts: readonly string[];
  /** From 0 (ink) to 1 (paper), `[count, 1, 64, 160]`. */
  readonly pixels: cf.HostTensor;
}

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
