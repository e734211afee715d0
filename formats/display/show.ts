/** What a notebook displays of a value: its text, and a table or picture where that says more. */
import type { Program } from "../../src/program/types.ts";
import { printProgram } from "../../src/program/mod.ts";
import { isObject, wrongKind } from "../../src/describe.ts";
import { INSPECT } from "../../src/inspect.ts";
import type { Layer, Variables } from "../../src/layers/mod.ts";
import { printMade } from "../../src/options/print.ts";
import { getWeights } from "../../src/models/mod.ts";
import { printHostTensor } from "../../src/tensor/print.ts";
import { type HostTensor, isTensor, printSpec, type Tensor } from "../../src/tensor/tensor.ts";
import type { History } from "../../src/training/mod.ts";
import { toHost } from "../../src/tree/mod.ts";
import { heatMap, plotHistory } from "./plots.ts";
import { escapeText, imageOf, preformattedHtml, unescapeText } from "./svg.ts";

/** One value in several forms, by media type; a notebook takes the richest that it can show. */
export interface MimeBundle {
  /** For terminals and screen readers. */
  readonly "text/plain": string;
  /** A table, or preformatted text. */
  readonly "text/html"?: string;
  /** A picture. */
  readonly "image/svg+xml"?: string;
}

/** What {@linkcode show} takes; text is that of `summary` or `explain`, or a picture as SVG. */
export type Showable = Tensor | History | Layer | Variables | Program | string;

/** What a notebook displays as the last value of a cell, and a terminal prints. */
export interface Shown {
  /** The value's forms; a tensor on a device is read for it. */
  display(): Promise<MimeBundle>;
  /** Its text. */
  toString(): string;
}

/** The member that Deno's Jupyter kernel asks for. */
const DISPLAY = Symbol.for("Jupyter.display");
/** A matrix of at most so many rows and columns is a table, a larger one a heat map. */
const MOST_IN_TABLE = 12;

/**
 * Shows a value: in a notebook as a table or picture, on a terminal as text.
 *
 * @param value A tensor, the history of `fit`, a model or layer, variables, a Program, the text of `summary` or
 *   `explain`, or a picture as SVG, such as that of `plotStates`.
 * @throws TypeError for anything else.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { show } from "@cellfold/cellfold/display";
 * const shown = show(tensor([[1, 2], [3, 4]])); // the last value of a cell of a notebook
 * assertEquals(String(shown), "float32[2, 2] [[1, 2], [3, 4]]");
 * ```
 */
export function show(value: Showable): Shown {
  const [text, display] = formsOf(value);
  const shown: Shown = { display, toString: () => text };
  return Object.defineProperties(shown, {
    [DISPLAY]: { value: display },
    [INSPECT]: { value: () => text },
  });
}

/** The text of a value, and the function that makes its other forms. */
function formsOf(value: unknown): [text: string, display: () => Promise<MimeBundle>] {
  if (isTensor(value)) return tensorForms(value);
  if (typeof value === "string") return isPicture(value) ? pictureForms(value) : preformatted(value);
  if (isProgram(value)) return preformatted(printProgram(value));
  if (isLayer(value)) return preformatted(printMade(value));
  if (isVariables(value)) return tableOf(value);
  if (isHistory(value)) return historyForms(value);
  throw wrongKind(
    "show",
    value,
    "it",
    "a tensor, a history, a model, variables, a Program, the text of summary or explain, or a picture",
  );
}

function preformatted(text: string): [string, () => Promise<MimeBundle>] {
  return [text, () => Promise.resolve({ "text/plain": text, "text/html": preformattedHtml(text) })];
}

function isPicture(text: string): boolean {
  return /^\s*<svg[\s>]/.test(text);
}

/** A picture, and its title as text. */
function pictureForms(svg: string): [string, () => Promise<MimeBundle>] {
  const title = /<title>([^<]*)<\/title>/.exec(svg)?.[1] ?? "";
  const text = `[picture${title === "" ? "" : `: ${unescapeText(title)}`}]`;
  return [text, () => Promise.resolve({ "text/plain": text, "image/svg+xml": svg })];
}

function tensorForms(value: Tensor): [string, () => Promise<MimeBundle>] {
  if (value.kind === "host") return [printHostTensor(value), () => Promise.resolve(tensorBundle(value))];
  const text = printSpec(value) + (value.kind === "device" ? ` on ${value.device}` : ", being traced");
  return [
    text,
    async () => value.kind === "device" ? tensorBundle(await toHost(value)) : { "text/plain": text },
  ];
}

function tensorBundle(value: HostTensor): MimeBundle {
  const text = printHostTensor(value);
  const [rows, columns] = value.shape;
  if (value.shape.length !== 2 || value.data.length === 0) {
    return { "text/plain": text, "text/html": preformattedHtml(text) };
  }
  if (Math.max(rows, columns) > MOST_IN_TABLE) {
    const title = `${printSpec(value)}, rows from left to right`;
    return {
      "text/plain": text,
      "image/svg+xml": heatMap(value.data, [rows, columns], title, ["row", "column"]),
    };
  }
  const number = (at: number) => String(Number(value.data[at].toPrecision(4)));
  const body = Array.from(
    { length: rows },
    (_, row) => [
      String(row),
      ...Array.from({ length: columns }, (_, column) => number(row * columns + column)),
    ],
  );
  const head = ["", ...Array.from({ length: columns }, (_, column) => String(column))];
  return { "text/plain": text, "text/html": table(printSpec(value), head, body) };
}

function table(caption: string, head: readonly string[], body: readonly (readonly string[])[]): string {
  const header = head.map((text) => `<th scope="col">${escapeText(text)}</th>`).join("");
  const rows = body.map(([first, ...rest]) =>
    `<tr><th scope="row">${escapeText(first)}</th>${
      rest.map((text) => `<td>${escapeText(text)}</td>`).join("")
    }</tr>`
  );
  return `<table><caption>${escapeText(caption)}</caption><thead><tr>${header}</tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table>`;
}

function tableOf(variables: Variables): [string, () => Promise<MimeBundle>] {
  const weights = getWeights(variables);
  const total = weights.reduce(
    (sum, { tensor }) => sum + tensor.shape.reduce<number>((a, dim) => a * Number(dim), 1),
    0,
  );
  const caption = `${weights.length} tensors, ${total.toLocaleString("en-US")} numbers`;
  const rows = weights.map(({ path, tensor }) => [path, printSpec(tensor)]);
  const width = Math.max(0, ...rows.map(([path]) => path.length));
  const text = [caption, ...rows.map(([path, spec]) => `  ${path.padEnd(width)}  ${spec}`)].join("\n");
  return [
    text,
    () => Promise.resolve({ "text/plain": text, "text/html": table(caption, ["weight", "type"], rows) }),
  ];
}

function historyForms(history: History): [string, () => Promise<MimeBundle>] {
  const names = Object.keys(history);
  const epochs = Math.max(0, ...names.map((name) => history[name].length));
  const number = (value: number | undefined) =>
    value === undefined ? "" : String(Number(value.toPrecision(4)));
  const rows = Array.from(
    { length: epochs },
    (_, epoch) => [String(epoch + 1), ...names.map((name) => number(history[name][epoch]))],
  );
  const head = ["epoch", ...names];
  const widths = head.map((text, index) => Math.max(text.length, ...rows.map((row) => row[index].length)));
  const text = [head, ...rows].map((row) => row.map((part, at) => part.padStart(widths[at])).join("  ")).join(
    "\n",
  );
  return [text, () => {
    const rowsOf = table("Training", head, rows);
    if (!names.some((name) => history[name].some(Number.isFinite))) {
      return Promise.resolve({ "text/plain": text, "text/html": rowsOf });
    }
    const curves = plotHistory(history);
    return Promise.resolve({
      "text/plain": text,
      "text/html": imageOf(curves, "Losses and metrics by epoch") + rowsOf, // most notebooks show this form alone
      "image/svg+xml": curves,
    });
  }];
}

function isProgram(value: unknown): value is Program {
  return isObject(value) && "equations" in value && "inputs" in value && "outputs" in value;
}

function isLayer(value: unknown): value is Layer {
  return isObject(value) && "type" in value && "apply" in value;
}

function isVariables(value: unknown): value is Variables {
  return isObject(value) && "params" in value && "state" in value;
}

function isHistory(value: unknown): value is History {
  return isObject(value) &&
    Object.values(value).every((values) =>
      Array.isArray(values) && values.every((part) => typeof part === "number")
    );
}
