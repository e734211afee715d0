/**
 * Programs from their source: each becomes a module that imports the library as a program in a file does. Errors are
 * placed at their line.
 */
import type { Failure } from "./messages.ts";

/** The name by which programs import the library. */
const LIBRARY = "@cellfold/cellfold";

/** Modules cannot reach what a worker has imported but through the global object. */
const HOLDER = "cellfoldOfThisPage";

function urlOf(code: string): string {
  return URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}

/** The address of a module that exports the library. */
function libraryUrl(library: object): string {
  Object.defineProperty(globalThis, HOLDER, { value: library, configurable: true });
  return urlOf(`export const { ${Object.keys(library).join(", ")} } = globalThis.${HOLDER};`);
}

/** A program that runs. */
export interface Loaded {
  /** Its exports. */
  readonly exports: Record<string, unknown>;
  /** The place in it where an error was thrown, if it was. */
  readonly place: (error: unknown) => Failure;
}

/** A program that could not be loaded. */
export class NotLoaded extends Error {
  override readonly name = "NotLoaded";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * Runs a program as a module.
 *
 * @throws NotLoaded if it cannot be parsed or throws.
 */
export async function load(source: string, library: object): Promise<Loaded> {
  const from = libraryUrl(library);
  // The lines stay as they are.
  const url = urlOf(source.replaceAll(new RegExp(`(["'])${LIBRARY}\\1`, "g"), JSON.stringify(from)));
  try {
    const exports = await import(/* @vite-ignore */ url);
    return { exports, place: (error) => placeOf(error, url) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw new NotLoaded(placeOf(error, url));
    const message = `SyntaxError: ${error.message}`;
    if (!message.includes(from)) throw new NotLoaded({ message, syntax: true });
    // A name that the library does not export.
    const line = source.slice(0, source.indexOf(LIBRARY)).split("\n").length;
    throw new NotLoaded({ message: message.replaceAll(from, LIBRARY), line });
  }
}

/** An error as a failure, at the innermost line of the program on its stack. */
function placeOf(error: unknown, url: string): Failure {
  if (!(error instanceof Error)) return { message: `The program threw ${String(error)}` };
  const message = `${error.name}: ${error.message}`;
  const at = error.stack?.indexOf(`${url}:`) ?? -1;
  const [, line, column] = at < 0
    ? []
    : /^:(\d+):(\d+)/.exec(error.stack?.slice(at + url.length) ?? "") ?? [];
  return line === undefined ? { message } : { message, line: Number(line), column: Number(column) };
}
