/** Handwriting that is made up: the way of a pen through words of loops, waves and arches, each writer's in its own way. */
import { type Random, randomFrom } from "../support/program.ts";

/** A step of the pen: how far it goes, and whether it is lifted after it. */
export interface PenStep {
  readonly dx: number;
  readonly dy: number;
  /** 1 where the pen leaves the paper after this step, else 0. */
  readonly up: number;
}

/** How somebody writes. */
interface Writer {
  readonly size: number;
  readonly slant: number;
  readonly width: number;
  readonly points: number;
}

/** The shapes of letters: where the pen is after the part `t` of one, in units of its width and height. */
const SHAPES: readonly { readonly height: number; readonly at: (t: number) => readonly [number, number] }[] =
  [
    { height: 0.5, at: (t) => [t - 0.32 * Math.sin(2 * Math.PI * t), (1 - Math.cos(2 * Math.PI * t)) / 2] }, // e
    { height: 1.2, at: (t) => [t - 0.32 * Math.sin(2 * Math.PI * t), (1 - Math.cos(2 * Math.PI * t)) / 2] }, // l
    { height: 0.5, at: (t) => [t, Math.sin(Math.PI * t) ** 2] }, // waves, as in u
    { height: 0.5, at: (t) => [t, Math.abs(Math.sin(2 * Math.PI * t))] }, // arches, as in n
  ];

/** The steps of one letter; it ends on the line where it began. */
function letter(random: Random, { size, slant, width, points }: Writer): PenStep[] {
  const { height, at } = random.pick(SHAPES);
  const place = (t: number) => {
    const [across, up] = at(t);
    const y = size * height * up;
    return [size * width * across + slant * y, y];
  };
  return Array.from({ length: points }, (_, i) => {
    const [[x0, y0], [x1, y1]] = [place(i / points), place((i + 1) / points)];
    return { dx: x1 - x0 + 0.01 * random.normal(), dy: y1 - y0 + 0.01 * random.normal(), up: 0 };
  });
}

/** Words of two to four letters until there are `steps` steps. */
function makeLine(random: Random, steps: number): PenStep[] {
  const writer = {
    size: 0.7 + 0.9 * random.uniform(),
    slant: -0.3 + 1.1 * random.uniform(),
    width: 0.45 + 0.3 * random.uniform(),
    points: 10 + random.below(4),
  };
  const line: PenStep[] = [];
  while (line.length < steps) {
    const word = Array.from({ length: 2 + random.below(3) }, () => letter(random, writer)).flat();
    const last = word.pop();
    const gap = { dx: 0.6 * writer.size, dy: 0, up: 0 }; // through the air, to the next word
    line.push(...word, { dx: last?.dx ?? 0, dy: last?.dy ?? 0, up: 1 }, gap);
  }
  return line.slice(0, steps);
}

/** So many lines of handwriting, each with `steps` steps of the pen. */
export function makeLines(count: number, steps: number, seed: number): PenStep[][] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => makeLine(random, steps));
}

/** Lines of handwriting as SVG: what was given in gray, what follows in color. */
export function drawLines(
  lines: readonly { readonly given: readonly PenStep[]; readonly written: readonly PenStep[] }[],
) {
  const [width, row, scale] = [640, 104, 44];
  const paths = lines.map(({ given, written }, index) => {
    const pen = { x: 24, y: 84 + row * index, isUp: true };
    const draw = (steps: readonly PenStep[]) =>
      steps.map(({ dx, dy, up }, i) => {
        const start = i === 0 ? `M${pen.x.toFixed(1)} ${pen.y.toFixed(1)}` : "";
        pen.x += scale * dx;
        pen.y -= scale * dy;
        const mark = `${start}${pen.isUp ? "M" : "L"}${pen.x.toFixed(1)} ${pen.y.toFixed(1)}`;
        pen.isUp = up === 1;
        return mark;
      }).join("");
    return [[draw(given), "#8a8a8a"], [draw(written), "#2f81f7"]].map(([path, color]) =>
      `<path d="${path}" fill="none" stroke="${color}" stroke-width="2.2" stroke-linejoin="round" stroke-linecap="round"/>`
    ).join("\n");
  });
  const height = row * lines.length + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `role="img" style="max-width:100%">\n<title>Handwriting: begun in gray, continued in blue</title>\n` +
    `${paths.join("\n")}\n</svg>\n`;
}
