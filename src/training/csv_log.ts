/** The callback `csvLog`: a line per epoch in a file of comma-separated values or JSON. */
import { type FileSystem, readWhole, withFiles, writeAll } from "../data/files.ts";
import { checkPath } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { unknownName } from "../known_names.ts";
import { quoted } from "../quoted.ts";
import { made } from "../options/made.ts";
import type { Callback } from "./callbacks.ts";
import type { Logs } from "./objective.ts";

/** How lines are written: `csv` with a header, or `jsonl`, a JSON object each, in which NaN is null. */
export type LogFormat = "csv" | "jsonl";

/** Options of {@linkcode csvLog}. */
export interface CsvLogOptions {
  /** The path of the file. */
  readonly file: string;
  /** Default `csv`. */
  readonly format?: LogFormat;
  /** Whether lines are added to those of earlier runs, rather than replacing them; default false. */
  readonly append?: boolean;
}

/** How the lines of a format are written. */
interface Lines {
  readonly header: (names: readonly string[]) => string;
  readonly epoch: (epoch: number, names: readonly string[], logs: Logs) => string;
}

const FORMATS: Readonly<Record<LogFormat, Lines>> = {
  csv: {
    header: (names) => ["epoch", ...names].map(quotedCell).join() + "\n",
    epoch: (epoch, names, logs) => [epoch, ...names.map((name) => logs[name])].join() + "\n",
  },
  jsonl: {
    header: () => "",
    epoch: (epoch, names, logs) =>
      JSON.stringify(Object.fromEntries([["epoch", epoch], ...names.map((name) => [name, logs[name]])])) +
      "\n",
  },
};

/** A text in a line of comma-separated values (RFC 4180). */
function quotedCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Writes the losses and metrics of each epoch, numbered from 0, to a file. A run that is resumed goes on with
 * the lines up to its checkpoint: the file ends as if there had been no break.
 *
 * @throws RangeError for an unknown option or format; when training starts, Error if the file cannot be
 *   written, has other columns than the lines that are added, or is shorter than it was when the run that is
 *   resumed was saved.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { csvLog } from "@cellfold/cellfold";
 * const callback = csvLog({ file: "log.jsonl", format: "jsonl" });
 * assertEquals(typeof callback.onEpochEnd, "function"); // give it to fit: { callbacks: [callback] }
 * ```
 */
export function csvLog(options: CsvLogOptions): Callback {
  checkOptions("csvLog", options, ["file", "format", "append"]);
  const { file, format = "csv", append = false } = options;
  checkPath("make csvLog", file, "file", "the path of a file");
  if (!Object.hasOwn(FORMATS, format)) throw unknownName("format", format, Object.keys(FORMATS));
  const lines = FORMATS[format];
  const what = `write the log ${file}`;
  /** Where the next line goes; what is behind it is from a run that was interrupted, or to be replaced. */
  let end = 0;
  return made<Callback>({
    type: "csvLog",
    onTrainBegin({ names }) {
      withOpen(what, file, (files, opened) => {
        const before = append ? readWhole(files, file) : new Uint8Array();
        end = before.length;
        if (end === 0) return;
        checkHeader(before, lines.header(names));
        if (before[end - 1] === LINE_FEED) return;
        writeAll(files, opened, Uint8Array.of(LINE_FEED)); // below a line that was left unfinished
        end++;
      });
    },
    onEpochEnd({ epoch, names, logs }) {
      const text = (end === 0 ? lines.header(names) : "") + lines.epoch(epoch, names, logs);
      const bytes = new TextEncoder().encode(text);
      withOpen(what, file, (files, opened) => {
        files.ftruncateSync(opened, end);
        writeAll(files, opened, bytes); // at the end, as the file is open to append
        files.fsyncSync(opened); // no checkpoint outlives the lines that it counts on
      });
      end += bytes.length;
    },
    state: () => ({ end }),
    restore(state: { readonly end: number }) {
      const { size } = withOpen(what, file, (files, opened) => files.fstatSync(opened));
      if (size < state.end) {
        throw new Error(
          `Cannot ${what}: it has ${size} bytes, but had ${state.end} when the run was saved; expected the file ` +
            `of that run`,
        );
      }
      end = state.end;
    },
  }, { main: "onEpochEnd" });
}

const LINE_FEED = 10;

/** Throws unless lines with this header can be added to a file: its columns are the same. */
function checkHeader(before: Uint8Array, header: string): void {
  const expected = header.trimEnd();
  const first = before.indexOf(LINE_FEED);
  const found = new TextDecoder().decode(first < 0 ? before : before.subarray(0, first)).trimEnd(); // may end with CRLF
  if (header === "" || found === expected) return;
  throw new Error(
    `its first line is ${quoted(found)}, but that of this run is ${
      quoted(expected)
    }, expected the same columns ` +
      `to add lines below them; give another file, or the metrics of the runs before`,
  );
}

/** Opens a file to append, and makes it if it is missing. */
function withOpen<Result>(
  what: string,
  file: string,
  use: (files: FileSystem, opened: number) => Result,
): Result {
  return withFiles(what, (files) => {
    const opened = files.openSync(file, "a");
    try {
      return use(files, opened);
    } finally {
      files.closeSync(opened);
    }
  });
}
