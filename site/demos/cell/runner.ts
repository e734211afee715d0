/** The page's side of the worker: starts it, ends it, and ends it by itself when a program does not come back. */
import type { Failure, Report, RunRequest } from "./messages.ts";
import { syntaxFailure } from "./syntax.ts";

/** A program that is running. */
export interface Running {
  /** Ends it at once, whatever it does. */
  stop(): void;
}

/** The most milliseconds that a program's own functions may take. */
export const MOST_MILLISECONDS = 15_000;

/** Says that a program did not come back: in the words of the page. */
export type Late = (seconds: number) => string;

/**
 * Runs a program in a worker of its own, in which nothing else is.
 *
 * @param hear Hears all that happens; "failed" or "done" is the last.
 */
export function runProgram(request: RunRequest, late: Late, hear: (report: Report) => void): Running {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    worker.terminate();
  };
  const fail = (failure: Failure) => {
    if (stopped) return;
    stop();
    hear({ kind: "failed", failure });
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail({ message: event.message || "The worker of this page could not be started" });
  };
  worker.onmessage = ({ data }: MessageEvent<Report>) => {
    if (stopped) return;
    if (data.kind === "started") {
      timer = setTimeout(() => fail({ message: late(MOST_MILLISECONDS / 1000) }), MOST_MILLISECONDS);
    }
    // They came back. What follows may take long on a GPU, which compiles slowly.
    if (data.kind === "traced") clearTimeout(timer);
    if (data.kind === "failed") {
      // An engine does not say where a module has its error, but it says so of a script.
      if (data.failure.syntax) {
        void syntaxFailure(request.source).then((found) => fail(found ?? data.failure));
      } else fail(data.failure);
    } else {
      if (data.kind === "done") stop();
      hear(data);
    }
  };
  worker.postMessage(request);
  return { stop };
}
