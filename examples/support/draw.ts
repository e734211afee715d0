/** Images as text, for a terminal without colors. */
import type { HostTensor } from "../../src/tensor/tensor.ts";

const SHADES = [" ", "░", "▒", "▓", "█"];

/**
 * A grey image as lines of text. One character stands for two pixels, one above the other: a half block where only
 * one of them is inked, else a shade.
 *
 * @param pixels `[height, width]` with an optional last axis of 1, or a flat square image; from 0 (blank) to 1.
 * @param options `columns`: the width of the text; default, the width of the image.
 */
export function drawDigit(
  pixels: Float32Array | HostTensor,
  options: { readonly columns?: number } = {},
): string {
  const { data, height, width } = imageOf(pixels);
  const columns = options.columns ?? width;
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`Cannot draw an image: columns is ${columns}, expected a whole number from 1`);
  }
  const rows = Math.max(1, Math.round(columns * height / width / 2));
  const mean = (row: number, column: number) => {
    const [top, bottom] = [row * height / (2 * rows), (row + 1) * height / (2 * rows)];
    const [left, right] = [column * width / columns, (column + 1) * width / columns];
    return areaMean(data, width, [left, top], [right, bottom]);
  };
  return Array.from(
    { length: rows },
    (_, row) =>
      Array.from(
        { length: columns },
        (_, column) => character(mean(2 * row, column), mean(2 * row + 1, column)),
      )
        .join("").trimEnd(),
  ).join("\n");
}

function imageOf(pixels: Float32Array | HostTensor): {
  readonly data: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
} {
  const flat = pixels instanceof Float32Array;
  const side = Math.sqrt(pixels instanceof Float32Array ? pixels.length : 0);
  const shape = flat ? [side, side] : pixels.shape;
  const [height, width, channels = 1] = shape;
  const isImage = shape.length >= 2 && shape.length <= 3 && channels === 1 && height > 0 && width > 0;
  if (!isImage || !Number.isInteger(height)) {
    throw new TypeError(
      `Cannot draw an image: current value is ${
        flat ? `${pixels.length} pixels` : `of shape [${shape.join(", ")}]`
      }, ` +
        `expected [height, width] or a flat square`,
    );
  }
  return { data: flat ? pixels : pixels.data, height, width };
}

/** The mean of the pixels under a rectangle, those on its edge counted by the part that is covered. */
function areaMean(
  data: ArrayLike<number>,
  width: number,
  [left, top]: readonly [number, number],
  [right, bottom]: readonly [number, number],
): number {
  let sum = 0;
  let area = 0;
  for (let y = Math.floor(top); y < bottom; y++) {
    const covered = Math.min(bottom, y + 1) - Math.max(top, y);
    for (let x = Math.floor(left); x < right; x++) {
      const part = covered * (Math.min(right, x + 1) - Math.max(left, x));
      const at = y * width + x;
      if (part <= 0 || at >= data.length) continue; // rounding at the far edge
      sum += part * data[at];
      area += part;
    }
  }
  return area === 0 ? 0 : sum / area;
}

function character(top: number, bottom: number): string {
  if (top - bottom > 0.5) return "▀";
  if (bottom - top > 0.5) return "▄";
  const level = Math.round((top + bottom) / 2 * (SHADES.length - 1));
  return SHADES[Math.min(SHADES.length - 1, Math.max(0, level || 0))]; // `|| 0`: not a number is blank
}
