/**
 * Plots as standalone SVG: what Observable Plot draws into a document without a browser, put side by side; and the
 * HTML around pictures and text.
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** A middle tone, which is read on white and on black. */
export const GRAY = "#767676";
/** Colors that people with any color vision tell apart; lines differ in their dashes too. */
export const COLORS = ["#2f81f7", "#d9730d", "#2a9d4a", "#c2418f", "#8a63d2", "#a87f00"];

/** A document without a browser; a runtime's types may lack what it is. */
const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as {
  readonly document: NonNullable<Plot.PlotOptions["document"]>;
};

/** One plot and where it lies in the picture. */
export interface Placed {
  readonly plot: Plot.PlotOptions;
  readonly x: number;
  readonly y: number;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text as the content of an element or an attribute. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]);
}

/** The text that was escaped. */
export function unescapeText(text: string): string {
  const names = Object.entries(ENTITIES);
  return text.replace(/&[a-z]+;/g, (entity) => names.find(([, name]) => name === entity)?.[0] ?? entity);
}

/**
 * A picture as an element that shows it wherever HTML is shown: notebooks that were written by others, and their
 * viewers, leave out the elements of SVG, but not images.
 */
export function imageOf(svg: string, alt: string): string {
  const escaped = svg.replace(/[%#"<>\n]/g, (character) => encodeURIComponent(character));
  return `<img alt="${escapeText(alt)}" src="data:image/svg+xml,${escaped}">`;
}

/** A text of more lines is folded below the first ones. */
const [MOST_LINES, FIRST_LINES] = [60, 24];

/** Text as it is, in letters of one width, which some notebooks give no element by themselves. */
export function preformattedHtml(text: string): string {
  const lines = text.split("\n");
  if (lines.length <= MOST_LINES) return block(text);
  const rest = lines.slice(FIRST_LINES);
  return `${
    block(lines.slice(0, FIRST_LINES).join("\n"))
  }<details><summary>${rest.length} more lines</summary>` +
    `${block(rest.join("\n"))}</details>`;
}

function block(text: string): string {
  return `<pre style="font-family: monospace; white-space: pre; overflow-x: auto">${escapeText(text)}</pre>`;
}

/** Several plots as one document with a transparent background. */
export function picture(
  title: string,
  [width, height]: readonly [number, number],
  plots: readonly Placed[],
): string {
  const drawn = plots.map(({ plot, x, y }) =>
    Plot.plot({ ...plot, document })
      .outerHTML.replace(/<style>[^]*?<\/style>/, "")
      .replace("<svg ", `<svg x="${x}" y="${y}" `).replace('font-size="10"', 'font-size="12"')
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `role="img" color="${GRAY}" style="max-width:100%">\n<title>${escapeText(title)}</title>\n` +
    `<text x="16" y="24" font-family="system-ui, sans-serif" font-size="16" font-weight="600" ` +
    `fill="${GRAY}">${escapeText(title)}</text>\n${drawn.join("\n")}\n</svg>\n`;
}
