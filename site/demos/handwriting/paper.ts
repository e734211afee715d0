/** Draws a sheet: its lines, ink, and where the pen may go next. */
import { type Point, STEP, type Stroke } from "./ink.ts";
import type { Component } from "./pen.ts";
import type { Sheet } from "./sheet.ts";

/** The colors of a page. */
export interface Colors {
  readonly line: string;
  /** Ink of the visitor, and of the model. */
  readonly given: string;
  readonly written: string;
}

/** What is on a sheet. */
export interface Drawing {
  readonly sheet: Sheet;
  /** Pixels of the height of an x. */
  readonly unit: number;
  readonly given: readonly Stroke[];
  readonly written: readonly Stroke[];
  /** What the model says of the next step, from where the pen is. */
  readonly next?: { readonly position: Point; readonly mixture: readonly Component[] };
}

/** A sheet that fills so many pixels of width, and the pixels of the height of an x. */
export function sheetFor(
  pixels: number,
): { readonly sheet: Sheet; readonly unit: number; readonly height: number } {
  const unit = pixels < 500 ? 17 : 24;
  const sheet = { width: pixels / unit, lines: pixels < 500 ? 4 : 3, spacing: 5, top: 3.6 };
  return { sheet, unit, height: Math.round(unit * (sheet.top + (sheet.lines - 1) * sheet.spacing + 2.2)) };
}

/** A line through points that bends at none: curves between the middles of its pieces. */
function trace(context: CanvasRenderingContext2D, stroke: Stroke): void {
  const [first, ...rest] = stroke;
  context.beginPath();
  context.moveTo(...first);
  rest.forEach(([x, y], i) => {
    const next = rest[i + 1];
    if (next) context.quadraticCurveTo(x, y, (x + next[0]) / 2, (y + next[1]) / 2);
    else context.lineTo(x, y);
  });
  if (rest.length === 0) context.lineTo(first[0] + 0.01, first[1]); // a dot
  context.stroke();
}

/** What a cloud is drawn with, and by how much its radius is more than two standard deviations: a sure one is still seen. */
const [CLOUD, LEAST] = ["#e87722", 0.12];

/** The ellipse of two standard deviations of a Gaussian, around where it has the pen go. */
function ellipse(
  context: CanvasRenderingContext2D,
  [x, y]: Point,
  { mean, deviation, correlation, weight }: Component,
) {
  const [a, b, c] = [deviation[0] ** 2, deviation[0] * deviation[1] * correlation, deviation[1] ** 2];
  const [middle, spread] = [(a + c) / 2, Math.hypot((a - c) / 2, b)];
  const radius = (variance: number) => LEAST + 2 * STEP * Math.sqrt(Math.max(variance, 0));
  context.globalAlpha = 0.2 + 0.7 * weight;
  context.beginPath();
  const turn = 0.5 * Math.atan2(2 * b, a - c);
  const [centerX, centerY] = [x + STEP * mean[0], y + STEP * mean[1]];
  context.ellipse(centerX, centerY, radius(middle + spread), radius(middle - spread), turn, 0, 2 * Math.PI);
  context.fill();
}

/** Draws everything anew, in the pixels of the device. */
export function drawSheet(
  canvas: HTMLCanvasElement,
  { sheet, unit, given, written, next }: Drawing,
  colors: Colors,
): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const scale = unit * devicePixelRatio;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineWidth = 1 / scale;
  context.strokeStyle = colors.line;
  for (let line = 0; line < sheet.lines; line++) {
    for (const height of [0, -1]) {
      context.setLineDash(height === 0 ? [] : [0.2, 0.2]);
      const y = sheet.top + line * sheet.spacing + height;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(sheet.width, y);
      context.stroke();
    }
  }
  context.setLineDash([]);
  context.lineWidth = 2.2 / unit;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = colors.written;
  for (const stroke of written) trace(context, stroke);
  context.strokeStyle = colors.given;
  for (const stroke of given) trace(context, stroke);
  context.fillStyle = CLOUD;
  for (const component of next?.mixture ?? []) {
    if (next && component.weight > 0.02) ellipse(context, next.position, component);
  }
  context.globalAlpha = 1;
}
