/**
 * Pictures of data, training and models for notebooks, terminals and files: {@linkcode show} gives what Deno's
 * Jupyter kernel displays, {@linkcode plotHistory} and its kin give SVG text. Drawn by Observable Plot.
 *
 * @module
 */
export {
  type ChartLabels,
  type Forecast,
  plotCurves,
  plotForecast,
  plotHistory,
  plotStates,
  type Series,
} from "./plots.ts";
export { type MimeBundle, show, type Showable, type Shown } from "./show.ts";
export { cellReport, type CellReportOptions } from "./report.ts";
