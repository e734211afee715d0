/**
 * From a source of `docs/notebooks/source` to notebooks in two languages, and back to what is compared. A source is
 * TypeScript that is checked and formatted as all code; comments that begin with a language are its prose, and the
 * code between two of them is a cell.
 */

/** The languages of the notebooks. */
export const LANGUAGES = ["en", "es"] as const;
export type Language = typeof LANGUAGES[number];

/** A part of a source. */
export type SourceCell =
  | { readonly kind: "markdown"; readonly prose: Readonly<Record<Language, string>> }
  | { readonly kind: "code"; readonly code: string };

/** What a cell of code gave. */
export interface Output {
  readonly output_type: "stream" | "display_data" | "execute_result" | "error" | "update_display_data";
  /** A stream's name and text. */
  readonly name?: string;
  readonly text?: string | readonly string[];
  /** The forms of what is displayed, by media type. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** A cell of a notebook (nbformat 4.5). */
export interface NotebookCell {
  readonly cell_type: "markdown" | "code";
  readonly id: string;
  readonly metadata: object;
  readonly source: string | readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

/** A notebook (nbformat 4.5). */
export interface Notebook {
  readonly cells: readonly NotebookCell[];
  readonly metadata: object;
  readonly nbformat: number;
  readonly nbformat_minor: number;
}

/** The comment that holds prose, with its language. */
const PROSE = /\/\*# (en|es)\n([^]*?)\n\*\//g;

/**
 * The cells of a source.
 *
 * @throws SyntaxError where a language is missing, or prose is not in the order of the languages.
 */
export function cellsOf(source: string, name: string): SourceCell[] {
  const cells: SourceCell[] = [];
  let prose: Partial<Record<Language, string>> = {};
  let end = 0;
  const addCode = (text: string) => {
    const code = text.trim();
    if (code === "") return;
    if (Object.keys(prose).length > 0) {
      throw new SyntaxError(`Cannot read ${name}: prose in one language alone`);
    }
    cells.push({ kind: "code", code });
  };
  for (const match of source.matchAll(PROSE)) {
    addCode(source.slice(end, match.index));
    end = match.index + match[0].length;
    const [, language, text] = match as unknown as [string, Language, string]; // both groups always match
    if (language !== LANGUAGES[Object.keys(prose).length]) {
      throw new SyntaxError(
        `Cannot read ${name}: prose in ${language} where ${LANGUAGES.join(", ")} are expected in turn`,
      );
    }
    prose = { ...prose, [language]: joined(text) };
    const { en, es } = prose;
    if (en === undefined || es === undefined) continue;
    cells.push({ kind: "markdown", prose: { en, es } });
    prose = {};
  }
  addCode(source.slice(end));
  return cells;
}

/** Prose with a line for each paragraph: notebooks wrap lines themselves. */
function joined(text: string): string {
  return text.split(/\n{2,}/).map((paragraph) =>
    paragraph.startsWith("#") || paragraph.startsWith("- ") ? paragraph : paragraph.replaceAll("\n", " ")
  ).join("\n\n");
}

/** Where readers have the library from. */
const REGISTRY = "jsr:";

/** The specifiers by which notebooks import the library, and those of the sources. */
export function importsIn(cells: readonly SourceCell[]): string[] {
  const found = cells.flatMap((cell) =>
    cell.kind === "code" ? [...cell.code.matchAll(/from "(@cellfold\/[^"]+)"/g)].map(([, name]) => name) : []
  );
  return [...new Set(found)].sort();
}

/** What maps a reader's specifiers to this checkout: `docs/notebooks/deno.json`. */
export function importMap(
  specifiers: readonly string[],
  imports: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = specifiers.map((name) => [REGISTRY + name, imports[name].replace("./", "../../")]);
  const packages = Object.entries(imports).filter(([, to]) => to.startsWith("npm:"));
  return Object.fromEntries([...own, ...packages]);
}

/** Text as notebooks have it: a list of lines with their ends. */
function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

/** The notebook in one language; `outputs` are those of its cells of code, in order. */
export function notebookOf(
  cells: readonly SourceCell[],
  language: Language,
  outputs: readonly (readonly Output[])[] = [],
): Notebook {
  let executed = 0;
  return {
    cells: cells.map((cell, index): NotebookCell => {
      const id = `cell-${index + 1}`;
      if (cell.kind === "markdown") {
        return { cell_type: "markdown", id, metadata: {}, source: linesOf(cell.prose[language]) };
      }
      const own = outputs[executed++];
      return {
        cell_type: "code",
        id,
        metadata: {},
        execution_count: own ? executed : null,
        outputs: own ?? [],
        source: linesOf(cell.code.replaceAll('from "@cellfold/', `from "${REGISTRY}@cellfold/`)),
      };
    }),
    metadata: {
      kernelspec: { display_name: "Deno", language: "typescript", name: "deno" },
      language_info: {
        codemirror_mode: "typescript",
        file_extension: ".ts",
        mimetype: "text/x.typescript",
        name: "typescript",
        nbconvert_exporter: "script",
        pygments_lexer: "typescript",
      },
    },
    nbformat: 4,
    nbformat_minor: 5,
  };
}

/** The outputs of the cells of code, in order. */
export function outputsOf(notebook: Notebook): (readonly Output[])[] {
  return notebook.cells.filter(({ cell_type }) => cell_type === "code").map(({ outputs = [] }) => outputs);
}

/** Text that may be a list of lines. */
export function textOf(text: unknown): string {
  return Array.isArray(text) ? text.join("") : String(text ?? "");
}

/** What a cell of code displays, in order: `stream`, or media types. */
export function kindsOf(outputs: readonly Output[]): string[] {
  return outputs.map(({ output_type, data = {} }) =>
    output_type === "stream" || output_type === "error" ? output_type : Object.keys(data).sort().join(" ")
  );
}
