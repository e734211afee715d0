/** A sheet of paper: where the ink of steps comes to lie. Units as in `ink.ts`. */
import { type PenStep, type Point, STEP, type Stroke } from "./ink.ts";

/** A sheet of lines that steps are written on. */
export interface Sheet {
  /** In heights of an x. */
  readonly width: number;
  readonly lines: number;
  /** From a line to the next; the first one is at `top`. */
  readonly spacing: number;
  readonly top: number;
}

/** A pen on a sheet: it goes on from where the ink ends, takes a new line where one is full, and stays on the sheet. */
export interface Pen {
  readonly strokes: readonly Stroke[];
  readonly position: Point;
  /** Moves the pen; false if the sheet is full. */
  move(step: PenStep): boolean;
}

/** What is kept free at both sides, and how far above and below its line the pen may be. */
const [MARGIN, ABOVE, BELOW] = [0.5, 2.9, 1.9];
/** Where a new line begins: room for a letter that begins at its right. */
const INDENT = 1.8;
/** Where writing is on average. */
const MIDDLE = -0.4;

/** A pen at the end of some ink, in heights of an x from the corner of the sheet; y is 0 at its top. */
export function penAt(sheet: Sheet, ink: readonly Stroke[]): Pen {
  const strokes: Point[][] = ink.filter(({ length }) => length > 1).map((stroke) => [...stroke]);
  const baseline = (line: number) => sheet.top + line * sheet.spacing;
  let [x, y] = strokes.at(-1)?.at(-1) ?? [INDENT, baseline(0)];
  let line = Math.max(0, Math.min(sheet.lines - 1, Math.round((y - MIDDLE - sheet.top) / sheet.spacing)));
  let isDown = strokes.length > 0;
  let [heights, count] = [0, 0]; // of the ink of this line above it
  return {
    strokes,
    get position(): Point {
      return [x, y];
    },
    move({ location: [dx, dy], pressure }) {
      const [nextX, nextY] = [x + STEP * dx, y + STEP * dy];
      const isLong = pressure === 0 && STEP * dx > 1.2 && nextX > sheet.width - 6; // mostly between words
      const isFull = isLong || nextX > sheet.width - MARGIN - (pressure === 0 ? 1 : 0);
      if (isFull) {
        if (++line >= sheet.lines) return false;
        // The ink goes up or down a little along a line; the next one begins where it should be.
        const drift = count > 20 ? heights / count - MIDDLE : 0;
        [x, y] = [INDENT, nextY + sheet.spacing - drift];
        [isDown, heights, count] = [false, 0, 0];
      } else [x, y] = [nextX, nextY];
      const [highest, lowest] = [baseline(line) - ABOVE, baseline(line) + BELOW];
      [x, y] = [Math.max(0, x), Math.max(highest, Math.min(lowest, y))];
      [heights, count] = [heights + y - baseline(line), count + 1];
      if (pressure === 1 && isDown && !isFull) strokes[strokes.length - 1].push([x, y]);
      else strokes.push([[x, y]]);
      isDown = true;
      return true;
    },
  };
}

/** The ink of a pen as it is now, to be shown: later moves do not change it. */
export function written({ strokes }: Pen): readonly Stroke[] {
  return strokes.map((stroke, i) => i < strokes.length - 1 ? stroke : [...stroke]);
}

/** The strokes on the line of the last one: a pen that takes a new line is not something that the model has seen. */
export function lastLine(sheet: Sheet, strokes: readonly Stroke[]): readonly Stroke[] {
  const drawn = strokes.filter(({ length }) => length > 1);
  const lineOf = (stroke: Stroke) => {
    const middle = stroke.reduce((sum, [, y]) => sum + y, 0) / stroke.length;
    return Math.round((middle - MIDDLE - sheet.top) / sheet.spacing);
  };
  const last = drawn.at(-1);
  return last ? drawn.filter((stroke) => lineOf(stroke) === lineOf(last)) : [];
}
