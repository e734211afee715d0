/**
 * Diagrams of boxes and arrows, drawn by Graphviz at places that are given. Their colors are read on light and dark
 * pages alike: text is dark in boxes that are light, and a middle gray outside of them.
 */
import { instance } from "@viz-js/viz";
import type { Language } from "../.vitepress/pages.ts";

/** What a box stands for. */
export type Kind = "cell" | "input" | "output" | "state" | "skipped" | "text" | "frame";

/** A box. Places and sizes are in units of one column or row. */
export interface Box {
  readonly at: readonly [column: number, row: number];
  readonly kind: Kind;
  readonly text?: string;
  readonly width?: number;
  readonly height?: number;
}

/** An arrow between two boxes by their names, such as `x1`, or `cell:n` for the upper side. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly text?: string;
  readonly dashed?: boolean;
}

/** A picture: what it is called by, for those who do not see it, and what is in it. */
export interface Diagram {
  readonly title: string;
  readonly boxes: Readonly<Record<string, Box>>;
  readonly arrows: readonly Arrow[];
  /** The width of a column and the height of a row, in points. */
  readonly grid?: readonly [width: number, height: number];
}

/** Says a thing in the language of a picture. */
export type Say = (english: string, spanish: string) => string;

/** Fill, border and text. */
const COLORS: { readonly [K in Kind]: readonly [fill: string, border: string, text: string] } = {
  cell: ["#dbeafe", "#3b82f6", "#1e3a8a"],
  input: ["#fef3c7", "#d97706", "#78350f"],
  output: ["#dcfce7", "#22a04a", "#14532d"],
  state: ["#ede9fe", "#8b5cf6", "#4c1d95"],
  skipped: ["#e5e7eb", "#6b7280", "#374151"],
  text: ["none", "none", "#767676"],
  frame: ["none", "#767676", "#767676"],
};
const GRAY = "#767676";
const FONT = `fontname="Helvetica" fontsize=14`;
const POINTS = 72; // in an inch

export function sayIn(language: Language): Say {
  return (english, spanish) => language === "en" ? english : spanish;
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** The text of Graphviz; row 0 is the lowest, as y goes up there. */
export function dotOf({ boxes, arrows, grid = [84, 64] }: Diagram): string {
  const lines = Object.entries(boxes).map(([name, { at, kind, text = "", width = 0.72, height = 0.56 }]) => {
    const [fill, border, color] = COLORS[kind];
    const [x, y] = at.map((place, axis) => place * grid[axis] / POINTS);
    const shape = kind === "text" ? "plaintext" : "box";
    const style = kind === "skipped"
      ? "filled,rounded,dashed"
      : kind === "frame"
      ? "rounded,dashed"
      : "filled,rounded";
    return `${name} [pos="${x},${y}!" label=${quote(text)} shape=${shape} style="${
      kind === "text" ? "" : style
    }" ` +
      `fillcolor="${fill}" color="${border}" fontcolor="${color}" fixedsize=true ` +
      `labelloc=${kind === "frame" ? "t" : "c"} ` +
      `width=${width * grid[0] / POINTS} height=${height * grid[1] / POINTS} ${FONT}];`;
  });
  const edges = arrows.map(({ from, to, text, dashed }) =>
    `${from} -> ${to} [color="${GRAY}" fontcolor="${GRAY}" penwidth=1.4 arrowsize=0.7 ${FONT}` +
    `${text === undefined ? "" : ` label=${quote(text)}`}${dashed ? " style=dashed" : ""}];`
  );
  return `digraph { bgcolor=transparent; outputorder=edgesfirst; splines=true; margin=0; pad=0.05;\n${
    [...lines, ...edges].join("\n")
  }\n}`;
}

/** A number as it stands below a letter. */
export function subscript(n: number): string {
  return [...String(n)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");
}

/** Diagrams as SVG text. */
export async function diagramRenderer(): Promise<(diagram: Diagram) => string> {
  const graphviz = await instance();
  return (diagram) => {
    const drawn = graphviz.renderString(dotOf(diagram), { format: "svg", engine: "neato" });
    const [, width, height] = /<svg width="(\d+)pt" height="(\d+)pt"/.exec(drawn) ?? [];
    return drawn
      .replace(
        /^[^]*?<svg [^>]*?viewBox="([^"]*)"[^>]*>/,
        (_, viewBox: string) =>
          `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${viewBox}" width="${width}" height="${height}" ` +
          `role="img">\n<title>${diagram.title}</title>`,
      )
      .replaceAll(/<!--[^]*?-->\n?/g, "")
      .replaceAll(
        /<title>(?!.*<\/title>\n<g id="graph0").*<\/title>\n/g,
        (title) => title.includes(diagram.title) ? title : "",
      )
      .replaceAll('font-family="Helvetica,sans-Serif"', 'font-family="system-ui, Helvetica, sans-serif"');
  };
}
