/** Curves, heat maps and forecasts as SVG text. */
import * as Plot from "@observablehq/plot";
import type { History } from "../../src/training/mod.ts";
import { checkList, isObject, wrongKind } from "../../src/describe.ts";
import { checkOptions } from "../../src/option_names.ts";
import { host, isTensor, printSpec, type Tensor } from "../../src/tensor/tensor.ts";
import { COLORS, GRAY, picture, type Placed } from "./svg.ts";

/** One line of a chart: a value for each epoch or step, counted from 1. Values that are not finite leave a gap. */
export interface Series {
  /** Its name in the legend. */
  readonly name: string;
  /** What is drawn. */
  readonly values: ArrayLike<number>;
}

/** The texts of a chart. */
export interface ChartLabels {
  /** Above the chart. */
  readonly title: string;
  /** What is counted from left to right. */
  readonly xLabel: string;
  /** What is measured. */
  readonly yLabel: string;
}

/** A forecast and what it is compared with. */
export interface Forecast {
  /** The measured values, `[time]`. */
  readonly actual: ArrayLike<number> | Tensor;
  /** The predicted values, `[steps]`. */
  readonly predicted: ArrayLike<number> | Tensor;
  /** The time of the first prediction, counted from 0; default: after the last measured value. */
  readonly start?: number;
}

const WIDTH = 640;
const HEIGHT = 320;
/** The room left of a chart, and between the rows of its legend. */
const MARGIN = 64;
const ROW = 18;
const DASHES = ["none", "7 4", "2 4", "10 4 2 4"];
const SYMBOLS = ["━━", "╍╍", "┅┅", "━╍"];
/** The most cells of a heat map in each direction; beyond, a cell is the mean of several values. */
const MOST_CELLS = 96;

function valuesOf(values: unknown, what: string): number[] {
  if (isTensor(values)) return Array.from(host(values).data);
  if (Array.isArray(values) || (ArrayBuffer.isView(values) && "length" in values)) {
    return Array.from(values as ArrayLike<number>, Number);
  }
  throw wrongKind(what, values, "a series of values", "an array or a tensor of numbers");
}

/** The names in rows above the chart; a row that is full begins another. */
function legendOf(
  series: readonly Series[],
): { readonly name: string; readonly left: number; readonly row: number }[] {
  let left = 0;
  let row = 0;
  return series.map(({ name }) => {
    const width = 50 + 7 * name.length; // 7: a generous mean width of a letter at 12 pixels
    if (left > 0 && left + width > WIDTH - MARGIN) {
      left = 0;
      row++;
    }
    const entry = { name, left, row };
    left += width;
    return entry;
  });
}

function chart(
  series: readonly Series[],
  labels: Pick<ChartLabels, "xLabel" | "yLabel">,
  first = 1,
): Plot.PlotOptions {
  const marks = series.flatMap(({ name, values }, index) => {
    const data = Array.from(values, (y, at) => ({ x: at + first, y }));
    const alone = data.filter(({ y }, at) =>
      Number.isFinite(y) && ![data[at - 1], data[at + 1]].some((next) => Number.isFinite(next?.y))
    );
    const color = COLORS[index % COLORS.length];
    const dashes = DASHES[index % DASHES.length];
    return [
      Plot.line(data, {
        x: "x",
        y: "y",
        stroke: color,
        strokeWidth: 2,
        strokeDasharray: dashes,
        title: () => name,
      }),
      Plot.dot(alone, { x: "x", y: "y", fill: color, r: 3.5, title: () => name }),
    ];
  });
  const longest = Math.max(1, ...series.map(({ values }) => values.length));
  const entries = legendOf(series);
  const rows = entries.at(-1)?.row ?? 0;
  const legend = entries.flatMap(({ name, left, row }, index) => {
    const place = { frameAnchor: "top-left", textAnchor: "start", dy: -16 - ROW * (rows - row) } as const;
    return [
      Plot.text([SYMBOLS[index % SYMBOLS.length]], {
        ...place,
        dx: left,
        fill: COLORS[index % COLORS.length],
      }),
      Plot.text([name], { ...place, dx: left + 30, fill: GRAY }),
    ];
  });
  return {
    width: WIDTH,
    height: HEIGHT,
    marginTop: 40 + ROW * rows,
    marginLeft: MARGIN,
    marginBottom: 44,
    x: {
      label: labels.xLabel,
      labelAnchor: "center",
      labelArrow: "none",
      domain: longest === 1 ? undefined : [first, longest + first - 1],
      ...(longest <= 12
        ? { ticks: Array.from({ length: longest }, (_, index) => index + first), tickFormat: "d" }
        : {}),
    },
    y: { label: labels.yLabel, labelAnchor: "center", labelArrow: "none", nice: true },
    marks: [
      Plot.gridY({ stroke: GRAY, strokeOpacity: 0.3 }),
      Plot.ruleX([longest === 1 ? NaN : first], { stroke: GRAY }),
      ...marks,
      ...legend,
    ],
  };
}

/**
 * Lines over the same axes, such as losses by batch.
 *
 * @returns An SVG document with a transparent background, for light and dark pages.
 * @throws RangeError if there is no finite value.
 */
export function plotCurves(series: readonly Series[], labels: ChartLabels): string {
  checkList("plot curves", series, "the series");
  checkOptions("plotCurves", labels, ["title", "xLabel", "yLabel"]);
  const lines = series.map(({ name, values }) => ({ name, values: valuesOf(values, "plot curves") }));
  checkFinite("plot curves", lines);
  return picture(labels.title, [WIDTH, HEIGHT + 24], [{ plot: chart(lines, labels), x: 0, y: 24 }]);
}

function checkFinite(what: string, series: readonly Series[]): void {
  if (series.some(({ values }) => Array.from(values).some(Number.isFinite))) return;
  throw new RangeError(`Cannot ${what}: there is no finite value, expected at least one`);
}

/** The curves of a history by what they measure: a metric together with its validation. */
function groupsOf(history: History): [metric: string, series: Series[]][] {
  const groups = new Map<string, Series[]>();
  for (const [name, values] of Object.entries(history)) {
    const metric = name.replace(/^val_/, "");
    groups.set(metric, [...groups.get(metric) ?? [], {
      name: name === metric ? "training" : "validation",
      values,
    }]);
  }
  return [...groups].filter(([, series]) =>
    series.some(({ values }) => Array.from(values).some(Number.isFinite))
  );
}

/**
 * The losses and metrics of training by epoch: a chart for each, with its validation.
 *
 * @param history What `fit` gives, or its logs by name.
 * @throws RangeError if there is no finite value.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { plotHistory } from "@cellfold/cellfold/display";
 * const svg = plotHistory({ loss: [0.9, 0.4], val_loss: [0.8, 0.5] });
 * assert(svg.startsWith("<svg") && svg.includes("validation"));
 * ```
 */
export function plotHistory(history: History): string {
  if (!isObject(history)) throw wrongKind("plot a history", history, "it", "the history that fit gives");
  for (const values of Object.values(history)) valuesOf(values, "plot a history");
  const groups = groupsOf(history);
  if (groups.length === 0) checkFinite("plot a history", []);
  const plots = groups.map(([metric, series], index): Placed => ({
    plot: chart(series, { xLabel: "epoch", yLabel: metric }),
    x: 0,
    y: 24 + index * HEIGHT,
  }));
  return picture("Training", [WIDTH, 24 + HEIGHT * groups.length], plots);
}

/**
 * The states of a recurrent layer over time as a heat map: time from left to right, units from top to bottom, and
 * a color from below zero (purple) through zero (white) to above it (orange).
 *
 * @param states `[time, units]`, or `[batch, time, units]`, of which the first sample is shown.
 * @param options `title`: the text above it; default `States over time`.
 */
export function plotStates(states: Tensor, options: { readonly title?: string } = {}): string {
  checkOptions("plotStates", options, ["title"]);
  if (!isTensor(states)) throw wrongKind("plot states", states, "it", "a tensor [time, units]");
  const { data, shape } = host(states);
  const [time, units] = shape.slice(-2);
  if (shape.length < 2 || shape.length > 3 || data.length === 0) {
    throw new TypeError(
      `Cannot plot states: current value is ${
        printSpec(states)
      }, expected [time, units] or [batch, time, units]`,
    );
  }
  return heatMap(data, [time, units], options.title ?? "States over time", ["time", "unit"]);
}

/** A heat map of a row-major matrix; its first axis goes from left to right. */
export function heatMap(
  data: ArrayLike<number>,
  [columns, rows]: readonly [number, number],
  title: string,
  [xLabel, yLabel]: readonly [string, string],
): string {
  const cells = cellsOf(data, columns, rows);
  const largest =
    cells.reduce((most, { value }) => Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most, 0) ||
    1;
  const color: Plot.ScaleOptions = {
    type: "diverging",
    scheme: "PuOr",

    domain: [-largest, largest],
  };
  const frame = { height: HEIGHT, marginTop: 16, marginBottom: 44, color };
  const bar = Array.from({ length: 48 }, (_, index) => {
    const [low, high] = [index, index + 1].map((at) => (at / 24 - 1) * largest);
    return { low, high, value: (low + high) / 2 };
  });
  return picture(title, [WIDTH, HEIGHT + 24], [
    {
      plot: {
        ...frame,
        width: WIDTH - 88,
        marginLeft: 56,
        x: { label: xLabel, labelAnchor: "center", labelArrow: "none", domain: [0, columns] },
        y: { label: yLabel, labelAnchor: "center", labelArrow: "none", domain: [rows, 0] },
        marks: [
          Plot.rect(cells, {
            x1: "x1",
            x2: "x2",
            y1: "y1",
            y2: "y2",
            fill: "value",
            inset: 0,
            shapeRendering: "crispEdges",
          }),
        ],
      },
      x: 0,
      y: 24,
    },
    {
      plot: {
        ...frame,
        width: 88,
        marginLeft: 12,
        marginRight: 56,
        x: { axis: null },
        y: { axis: "right", label: null, domain: [-largest, largest] },
        marks: [
          Plot.rect(bar, {
            x1: () => 0,
            x2: () => 1,
            y1: "low",
            y2: "high",
            fill: "value",
            inset: 0,
            shapeRendering: "crispEdges",
          }),
        ],
      },
      x: WIDTH - 88,
      y: 24,
    },
  ]);
}

/** The matrix in at most 96 by 96 cells, each the mean of what it covers. */
function cellsOf(data: ArrayLike<number>, columns: number, rows: number) {
  const [across, down] = [columns, rows].map((size) => Math.min(size, MOST_CELLS));
  return Array.from({ length: across * down }, (_, index) => {
    const column = Math.floor(index / down);
    const [x1, x2] = [column, column + 1].map((at) => Math.floor(at * columns / across));
    const [y1, y2] = [index % down, index % down + 1].map((at) => Math.floor(at * rows / down));
    let sum = 0;
    for (let x = x1; x < x2; x++) for (let y = y1; y < y2; y++) sum += data[x * rows + y];
    return { x1, x2, y1, y2, value: sum / ((x2 - x1) * (y2 - y1)) };
  });
}

/**
 * A forecast beside what was measured.
 *
 * @param forecast Measured and predicted values of one quantity; `start` may lie within the measured ones.
 * @param options `title`: the text above it; default `Forecast`.
 */
export function plotForecast(forecast: Forecast, options: { readonly title?: string } = {}): string {
  checkOptions("plotForecast", options, ["title"]);
  checkOptions("plotForecast", forecast, ["actual", "predicted", "start"]);
  const actual = valuesOf(forecast.actual, "plot a forecast");
  const predicted = valuesOf(forecast.predicted, "plot a forecast");
  const { start = actual.length } = forecast;
  if (!Number.isInteger(start) || start < 0) {
    throw new RangeError(`Cannot plot a forecast: start is ${start}, expected a whole number from 0`);
  }
  const series = [
    { name: "measured", values: actual },
    { name: "predicted", values: [...Array<number>(start).fill(NaN), ...predicted] },
  ];
  checkFinite("plot a forecast", series);
  const plot = chart(series, { xLabel: "time", yLabel: "value" }, 0);
  return picture(options.title ?? "Forecast", [WIDTH, HEIGHT + 24], [{ plot, x: 0, y: 24 }]);
}
