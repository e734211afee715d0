/** Letters and digits as strokes of a pen, in a box 4 wide and 6 high. */

/** A point: x to the right, y down. */
export type Point = readonly [x: number, y: number];

/** A line from point to point. */
export type Stroke = readonly Point[];

/** The box of a glyph. */
export const BOX = { width: 4, height: 6 } as const;

/**
 * Strokes between slashes, points as `xy`. Two points are a straight line; more are the corners of a curve. The letters
 * I and O are left out, as they are taken for the digits 1 and 0.
 */
const OUTLINES: Readonly<Record<string, string>> = {
  0: "20 40 46 06 00 20",
  1: "02 20/20 26/06 46",
  2: "01 00 40 43 06/06 46",
  3: "01 00 40 43 13/13 43 46 06 05",
  4: "30 36/30 04/04 44",
  5: "40 00/00 02/02 42 46 06 05",
  6: "30 00 06 46 43 03",
  7: "00 40/40 16",
  8: "23 03 00 40 43 23/23 43 46 06 03 23",
  9: "43 03 00 40 46 16",
  A: "06 20/20 46/14 34",
  B: "00 06/00 40 43 03/03 43 46 06",
  C: "41 40 00 06 46 45",
  D: "00 06/00 40 46 06",
  E: "00 06/00 40/03 33/06 46",
  F: "00 06/00 40/03 33",
  G: "41 40 00 06 46 44/44 24",
  H: "00 06/40 46/03 43",
  J: "40 46 06 04",
  K: "00 06/40 03/13 46",
  L: "00 06/06 46",
  M: "06 00/00 23/23 40/40 46",
  N: "06 00/00 46/46 40",
  P: "00 06/00 40 43 03",
  Q: "20 40 46 06 00 20/24 46",
  R: "00 06/00 40 43 03/23 46",
  S: "41 40 00 03 43 46 06 05",
  T: "00 40/20 26",
  U: "00 06 46 40",
  V: "00 26/26 40",
  W: "00 16/16 22/22 36/36 40",
  X: "00 46/40 06",
  Y: "00 23/40 23/23 26",
  Z: "00 40/40 06/06 46",
};

/** The characters that can be drawn. */
export const CHARACTERS = Object.keys(OUTLINES).join("");

/** The strokes of a character. */
export function strokesOf(character: string): readonly Stroke[] {
  const outline = OUTLINES[character];
  if (outline === undefined) throw new RangeError(`Cannot draw ${character}: expected one of ${CHARACTERS}`);
  return outline.split("/").map((stroke) =>
    rounded(stroke.split(" ").map(([x, y]): Point => [Number(x), Number(y)]))
  );
}

/** The corners of a curve cut off, three times (Chaikin, 1974); its ends stay. */
function rounded(corners: Stroke, times = 3): Stroke {
  if (corners.length < 3 || times === 0) return corners;
  const between = ([x, y]: Point, [toX, toY]: Point, part: number): Point => [
    x + part * (toX - x),
    y + part * (toY - y),
  ];
  const cut = corners.slice(1).flatMap((
    to,
    i,
  ) => [between(corners[i], to, 0.25), between(corners[i], to, 0.75)]);
  return rounded([corners[0], ...cut, corners[corners.length - 1]], times - 1);
}
