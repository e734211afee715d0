/** Turns strokes into a picture like those of MNIST. */

/** A point of a stroke; y grows downwards. */
export type Point = readonly [x: number, y: number];
export type Stroke = readonly Point[];

/** The side of the area that is drawn on, in units of the strokes. */
export const PAD = 280;

/** Rows of the picture, and pixels of a row. */
const SIDE = 28;
/** The longer side of the ink. */
const BOX = 20;
/** Half the width of a line, in pixels of the picture. */
const RADIUS = 1.1;

/** The distance of a point from a line. */
function distance(x: number, y: number, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** Draws lines of the same width with soft edges, from 0 (paper) to 1 (ink). */
function drawLines(strokes: readonly Stroke[]): Float32Array {
  const picture = new Float32Array(SIDE * SIDE);
  const reach = RADIUS + 0.5;
  const range = (a: number, b: number): [number, number] => [
    Math.max(0, Math.floor(Math.min(a, b) - reach)),
    Math.min(SIDE - 1, Math.ceil(Math.max(a, b) + reach)),
  ];
  for (const stroke of strokes) {
    stroke.forEach((to, index) => {
      const from = stroke[Math.max(0, index - 1)]; // a dot is a line of length 0
      const [left, right] = range(from[0], to[0]);
      const [top, bottom] = range(from[1], to[1]);
      for (let y = top; y <= bottom; y++) {
        for (let x = left; x <= right; x++) {
          const ink = Math.max(0, Math.min(1, reach - distance(x + 0.5, y + 0.5, from, to)));
          picture[y * SIDE + x] = Math.max(picture[y * SIDE + x], ink);
        }
      }
    });
  }
  return picture;
}

/** The center of mass of a picture's ink, and all of it. */
function massOf(picture: Float32Array): { readonly x: number; readonly y: number; readonly total: number } {
  let [x, y, total] = [0, 0, 0];
  picture.forEach((ink, i) => {
    x += ink * (i % SIDE + 0.5);
    y += ink * (Math.floor(i / SIDE) + 0.5);
    total += ink;
  });
  return { x: x / total, y: y / total, total };
}

/**
 * The picture of strokes as MNIST makes its own (LeCun et al., "Gradient-based learning applied to document
 * recognition", 1998, section III.A): scaled so that the ink fits a box of 20 × 20 pixels, with the center of mass in
 * the middle of 28 × 28. The strokes are drawn anew at that size, so that a line is as wide whatever the scale.
 *
 * Ink that takes less than a tenth of the area stays small, as a dot does.
 *
 * @returns `[28, 28]` row by row, from 0 (paper) to 1 (ink); blank without strokes.
 */
export function pictureOf(strokes: readonly Stroke[]): Float32Array {
  const points = strokes.flat();
  if (points.length === 0) return new Float32Array(SIDE * SIDE);
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (BOX - 2 * RADIUS) / Math.max(right - left, bottom - top, PAD / 10);
  const placed = (dx: number, dy: number) =>
    strokes.map((stroke) =>
      stroke.map(([x, y]): Point => [
        SIDE / 2 + (x - (left + right) / 2) * scale + dx,
        SIDE / 2 + (y - (top + bottom) / 2) * scale + dy,
      ])
    );
  const { x, y } = massOf(drawLines(placed(0, 0)));
  return drawLines(placed(SIDE / 2 - x, SIDE / 2 - y));
}
