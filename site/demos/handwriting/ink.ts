/**
 * Ink: strokes of points, and the same as steps of the pen. The unit of points is the height of an x; y grows downwards and
 * is 0 on the line. A step of a pen that draws is about `STEP` long, so the model sees directions, not the visitor's speed.
 */

/** A point. */
export type Point = readonly [x: number, y: number];
/** Points that the pen connects. */
export type Stroke = readonly Point[];

/** A step of the pen, in units of `STEP`; it draws on the way (1) or is lifted (0). */
export interface PenStep {
  readonly location: readonly [dx: number, dy: number];
  readonly pressure: 0 | 1;
}

export const STEP = 0.34;

const distance = ([ax, ay]: Point, [bx, by]: Point) => Math.hypot(bx - ax, by - ay);

/** Points at equal distances of about `STEP` on a line through others; both ends stay. */
export function resample(stroke: Stroke): Stroke {
  const first = stroke[0];
  const lengths = stroke.slice(1).map((point, i) => distance(stroke[i], point));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const count = Math.max(1, Math.round(total / STEP));
  if (total === 0) return [first, first];
  const points: Point[] = [first];
  let [piece, before] = [0, 0];
  for (let i = 1; i <= count; i++) {
    const wanted = total * i / count;
    while (piece < lengths.length - 1 && before + lengths[piece] < wanted) before += lengths[piece++];
    const share = lengths[piece] === 0 ? 0 : Math.min(1, (wanted - before) / lengths[piece]);
    const [[ax, ay], [bx, by]] = [stroke[piece], stroke[piece + 1]];
    points.push([ax + share * (bx - ax), ay + share * (by - ay)]);
  }
  return points;
}

/** A smooth line through points, as points close to each other: a Catmull-Rom spline. */
export function smooth(stroke: Stroke, pieces = 6): Stroke {
  const at = (i: number) => stroke[Math.max(0, Math.min(stroke.length - 1, i))];
  return stroke.flatMap((point, i) => {
    if (i === stroke.length - 1) return [point];
    const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    return Array.from({ length: pieces }, (_, j): Point => {
      const t = j / pieces;
      const along = (axis: 0 | 1) =>
        0.5 *
        (2 * b[axis] + (c[axis] - a[axis]) * t +
          (2 * a[axis] - 5 * b[axis] + 4 * c[axis] - d[axis]) * t ** 2 +
          (3 * b[axis] - a[axis] - 3 * c[axis] + d[axis]) * t ** 3);
      return [along(0), along(1)];
    });
  });
}

/** The steps of a pen that draws strokes; the first step goes to the first point, from `from`. */
export function stepsOf(strokes: readonly Stroke[], from: Point): PenStep[] {
  let [x, y] = from;
  return strokes.filter(({ length }) => length > 0).flatMap((stroke) =>
    resample(stroke).map((point, i): PenStep => {
      const location = [(point[0] - x) / STEP, (point[1] - y) / STEP] as const;
      [x, y] = point;
      return { location, pressure: i === 0 ? 0 : 1 };
    })
  );
}
