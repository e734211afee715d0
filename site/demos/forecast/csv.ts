/** Reads tables from text: comma-separated values (RFC 4180), or separated by semicolons or tabs, with decimal commas. */

/** What is wrong with a table, so that the page can say it in its language. */
export type Problem =
  | { readonly kind: "empty" }
  | { readonly kind: "noNumbers" }
  | { readonly kind: "ragged"; readonly line: number; readonly fields: number; readonly expected: number }
  | {
    readonly kind: "gap";
    readonly column: string;
    readonly line: number;
    readonly found: string;
    readonly others: number;
  }
  | { readonly kind: "short"; readonly rows: number; readonly expected: number }
  | { readonly kind: "constant"; readonly column: string; readonly value: number };

/** Thrown for a table that cannot be forecast. */
export class TableError extends Error {
  override readonly name = "TableError";
  constructor(readonly problem: Problem) {
    super(`Cannot use the table: ${JSON.stringify(problem)}`);
  }
}

/** A column in which most fields are numbers. */
export interface Column {
  readonly name: string;
  /** NaN where a field is no number. */
  readonly values: readonly number[];
  /** Fields that are no numbers, with the line of each. */
  readonly gaps: readonly { readonly line: number; readonly found: string }[];
}

interface Line {
  /** From 1. */
  readonly number: number;
  readonly fields: readonly string[];
}

const SEPARATORS = [";", "\t", ","] as const;

/** The lines of a text that are not blank, as fields; a quoted field may contain anything. */
function linesOf(text: string, separator: string): Line[] {
  const lines: Line[] = [];
  let [fields, field, isQuoted, number, start]: [string[], string, boolean, number, number] = [
    [],
    "",
    false,
    1,
    1,
  ];
  const endLine = () => {
    fields.push(field);
    if (fields.some((field) => field.trim() !== "")) lines.push({ number: start, fields });
    [fields, field, start] = [[], "", number + 1];
  };
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === '"') {
      if (isQuoted && text[i + 1] === '"') field += text[++i];
      else isQuoted = !isQuoted;
    } else if (letter === "\n" && !isQuoted) {
      endLine();
      number++;
    } else if (letter === separator && !isQuoted) {
      fields.push(field);
      field = "";
    } else {
      if (letter === "\n") number++;
      field += letter;
    }
  }
  endLine();
  return lines;
}

/** The number that a field is; NaN if it is none. */
function numberOf(field: string, hasDecimalComma: boolean): number {
  const text = hasDecimalComma ? field.trim().replace(",", ".") : field.trim();
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
}

/**
 * The columns of a table that are numbers. Names come from the first line, if it is none of numbers.
 *
 * @throws TableError if there are no lines, a line has another number of fields, or no column is of numbers.
 */
export function parseTable(text: string): Column[] {
  const content = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  const [beginning] = content.split("\n", 1);
  const separator = SEPARATORS.find((separator) => beginning.includes(separator)) ?? ",";
  const lines = linesOf(content, separator);
  if (lines.length === 0) throw new TableError({ kind: "empty" });
  const toNumber = (field: string) => numberOf(field, separator !== ",");
  const [first] = lines;
  const hasNames = first.fields.every((field) => Number.isNaN(toNumber(field)));
  const rows = hasNames ? lines.slice(1) : lines;
  const expected = first.fields.length;
  for (const { number, fields } of rows) {
    if (fields.length !== expected) {
      throw new TableError({ kind: "ragged", line: number, fields: fields.length, expected });
    }
  }
  const columns = first.fields.map((field, index): Column => {
    const values = rows.map(({ fields }) => toNumber(fields[index]));
    const gaps = rows.flatMap(({ number, fields }, row) =>
      Number.isNaN(values[row]) ? [{ line: number, found: fields[index].trim() }] : []
    );
    return { name: hasNames && field.trim() !== "" ? field.trim() : `${index + 1}`, values, gaps };
  }).filter(({ values, gaps }) => 2 * gaps.length < values.length);
  if (columns.length === 0) throw new TableError({ kind: "noNumbers" });
  return columns;
}
