/**
 * Where a program has a syntax error. Engines say of a module that cannot be parsed what is wrong, but not where; of a
 * classic script in a worker they say both. So the program is parsed as one, and is never run: it throws first.
 */
import type { Failure } from "./messages.ts";

/** What is thrown before anything of the program runs. */
const FIRST = '"use strict";throw 0;';

/** Replaces what only modules have by spaces, so that places stay. */
function asScript(source: string): string {
  const blank = (text: string) => text.replaceAll(/[^\n]/g, " ");
  return source
    .replaceAll(/^[ \t]*import\b[^;]*?from\s*(["']).*?\1/gm, blank)
    .replaceAll(/^[ \t]*export\s+default\b/gm, (text) => `${blank(text).slice(0, -2)}0,`)
    .replaceAll(/^[ \t]*export\b/gm, blank);
}

/** The syntax error of a program; undefined if it has none as a script. */
export function syntaxFailure(source: string): Promise<Failure | undefined> {
  const url = URL.createObjectURL(new Blob([FIRST + asScript(source)], { type: "text/javascript" }));
  const worker = new Worker(url);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), 2000);
    worker.onerror = (event) => {
      event.preventDefault();
      clearTimeout(timer);
      const { message, lineno: line, colno } = event;
      const text = /SyntaxError: .*/.exec(message)?.[0];
      const column = line === 1 ? colno - FIRST.length : colno;
      resolve(
        text === undefined ? undefined : { message: text, line, column: Math.max(1, column), syntax: true },
      );
    };
  }).finally(() => {
    worker.terminate();
    URL.revokeObjectURL(url);
  }) as Promise<Failure | undefined>;
}
