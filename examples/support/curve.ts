/**
 * Line charts of training curves as standalone SVG, from text alone: the plotting libraries that render without a
 * browser weigh forty megabytes.
 */

/** One line of a chart: a value for each epoch or step, counted from 1. Values that are not finite leave a gap. */
export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

/** The texts of a chart. */
export interface CurveLabels {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
}

const WIDTH = 640;
const HEIGHT = 400;
const PLOT = { left: 72, right: WIDTH - 24, top: 76, bottom: HEIGHT - 56 } as const;
/** Middle tones, which stand out on white and on black; lines differ in their dashes too. */
const COLORS = ["#2f81f7", "#d9730d", "#2a9d4a", "#c2418f", "#8a63d2", "#a87f00"];
const DASHES = ["", "7 4", "2 4", "10 4 2 4"];
const TEXT = "#7b828c";

/**
 * Draws one or more curves over the same axes.
 *
 * @param series The lines; at least one, and at least one finite value.
 * @param labels Title and axis labels.
 * @returns An SVG document with a transparent background, 640 by 400.
 * @throws RangeError if there is nothing to draw.
 */
export function learningCurve(series: readonly Series[], labels: CurveLabels): string {
  const finite = series.flatMap(({ values }) => values.filter(Number.isFinite));
  if (finite.length === 0) throw new RangeError("Cannot draw a learning curve: there is no finite value");
  const longest = Math.max(...series.map(({ values }) => values.length));
  const xTicks = ticks(1, longest, 8).filter((step) =>
    Number.isInteger(step) && step >= 1 && step <= longest
  );
  const [low, high] = finite.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [
    Infinity,
    -Infinity,
  ]);
  const yTicks = ticks(low, high, 6);
  // The axis ends at ticks, so that every value lies between two of them.
  const [bottom, top] = [yTicks[0], yTicks[yTicks.length - 1]];
  const x = (step: number) =>
    longest === 1
      ? (PLOT.left + PLOT.right) / 2
      : PLOT.left + (step - 1) / (longest - 1) * (PLOT.right - PLOT.left);
  const y = (value: number) => PLOT.bottom - (value - bottom) / (top - bottom) * (PLOT.bottom - PLOT.top);

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    `role="img" font-family="system-ui, sans-serif" font-size="12" fill="${TEXT}">`,
    `<title>${escape(labels.title)}</title>`,
    text(PLOT.left, 26, labels.title, `font-size="16" font-weight="600"`),
    ...legend(series),
    ...yTicks.map((value) =>
      line(PLOT.left, y(value), PLOT.right, y(value), `stroke="${TEXT}" stroke-opacity="0.25"`) +
      text(PLOT.left - 8, y(value) + 4, print(value, yTicks), `text-anchor="end"`)
    ),
    ...xTicks.map((step) =>
      line(x(step), PLOT.bottom, x(step), PLOT.bottom + 5, `stroke="${TEXT}"`) +
      text(x(step), PLOT.bottom + 20, print(step, xTicks), `text-anchor="middle"`)
    ),
    line(PLOT.left, PLOT.bottom, PLOT.right, PLOT.bottom, `stroke="${TEXT}"`),
    line(PLOT.left, PLOT.top, PLOT.left, PLOT.bottom, `stroke="${TEXT}"`),
    text((PLOT.left + PLOT.right) / 2, HEIGHT - 12, labels.xLabel, `text-anchor="middle"`),
    text(
      0,
      0,
      labels.yLabel,
      `text-anchor="middle" transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)"`,
    ),
    ...series.map(({ values }, index) => curve(values, x, y, index)),
    `</svg>`,
    "",
  ].join("\n");
}

/** Round numbers (1, 2 or 5 times a power of ten apart) from at or below `low` to at or above `high`. */
function ticks(low: number, high: number, atMost: number): number[] {
  if (low === high) return ticks(low - (Math.abs(low) / 2 || 1), high + (Math.abs(high) / 2 || 1), atMost);
  const rough = (high - low) / (atMost - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function print(value: number, among: readonly number[]): string {
  const largest = Math.max(...among.map(Math.abs));
  const step = among.length > 1 ? among[1] - among[0] : 1;
  if (largest >= 1e6 || step < 1e-4) return value === 0 ? "0" : value.toExponential().replace("e+", "e");
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

function curve(
  values: readonly number[],
  x: (step: number) => number,
  y: (value: number) => number,
  index: number,
): string {
  const color = COLORS[index % COLORS.length];
  const runs: string[][] = [[]];
  values.forEach((value, i) => {
    if (Number.isFinite(value)) runs[runs.length - 1].push(`${round(x(i + 1))},${round(y(value))}`);
    else runs.push([]);
  });
  return runs.filter((run) => run.length > 0).map((run) => {
    if (run.length > 1) return `<polyline points="${run.join(" ")}" ${pen(index)}/>`;
    const [cx, cy] = run[0].split(",");
    return `<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`;
  }).join("\n");
}

function pen(index: number): string {
  const dashes = DASHES[index % DASHES.length];
  return `fill="none" stroke="${COLORS[index % COLORS.length]}" stroke-width="2" stroke-linejoin="round"` +
    (dashes === "" ? "" : ` stroke-dasharray="${dashes}"`);
}

/** The names in a row under the title, each after a piece of its line; a row that is full begins another. */
function legend(series: readonly Series[]): string[] {
  let left: number = PLOT.left;
  let row = 46;
  return series.map(({ name }, index) => {
    const width = 34 + 7 * name.length + 16; // 7: a generous mean width of a letter at 12 pixels
    if (left > PLOT.left && left + width > PLOT.right) {
      left = PLOT.left;
      row += 16;
    }
    const entry = line(left, row - 4, left + 26, row - 4, pen(index)) + text(left + 34, row, name, "");
    left += width;
    return entry;
  });
}

function line(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${attributes}/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escape(content: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return content.replace(/[&<>"]/g, (character) => entities[character]);
}
