/** Training in one cell of a notebook, which is updated in place: a line of progress and the curves so far. */
import { checkOptions } from "../../src/option_names.ts";
import { isObject } from "../../src/describe.ts";
import { createPacer, type Progress } from "../../src/training/pace.ts";
import { barLine, createReporter, epochLine, type Reporter } from "../../src/training/progress.ts";
import { plotHistory } from "./plots.ts";
import type { MimeBundle } from "./show.ts";
import { imageOf, preformattedHtml } from "./svg.ts";

/** Sends a message of Jupyter's protocol to the notebook, as `Deno.jupyter.broadcast` does. */
type Broadcast = (
  type: string,
  content: {
    readonly data: MimeBundle;
    readonly metadata: object;
    readonly transient: { readonly display_id: string };
  },
) => Promise<void>;

/** Options of {@linkcode cellReport}. */
export interface CellReportOptions {
  /** The shortest time between two updates within an epoch, in milliseconds; default 500. */
  readonly interval?: number;
}

let cells = 0;

/** The function of Deno's kernel; elsewhere asking for it may throw. */
function findBroadcast(): Broadcast | undefined {
  try {
    const { Deno } = globalThis as { readonly Deno?: { readonly jupyter?: unknown } };
    const kernel = Deno?.jupyter;
    if (!isObject(kernel) || !("broadcast" in kernel) || typeof kernel.broadcast !== "function") {
      return undefined;
    }
    const { broadcast } = kernel;
    return (type, content) => broadcast.call(kernel, type, content);
  } catch {
    return undefined; // not in a notebook
  }
}

/**
 * The option `report` of `fit` for notebooks: one cell shows the progress and the curves of the epochs so far.
 * Outside a notebook of Deno it reports as `auto` does.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { cellReport } from "@cellfold/cellfold/display";
 * const report = cellReport(); // give it to fit: { report }
 * assertEquals(typeof report.epoch, "function");
 * ```
 */
export function cellReport(options: CellReportOptions = {}): Reporter {
  checkOptions("cellReport", options, ["interval"]);
  const { interval = 500 } = options;
  if (!(interval >= 0)) {
    throw new RangeError(`Cannot make a cellReport: interval is ${interval}, expected milliseconds from 0`);
  }
  const broadcast = findBroadcast();
  return broadcast ? cellReporter(broadcast, interval) : createReporter("auto");
}

function cellReporter(broadcast: Broadcast, interval: number): Reporter {
  const id = `cellfold-training-${++cells}`;
  const history: Record<string, number[]> = {};
  const pacer = createPacer();
  let shown = -Infinity;
  let isOpen = false;
  /** Messages are sent one after another; a notebook that is gone does not end training. */
  let sent: Promise<void> = Promise.resolve();
  const draw = (line: string) => {
    const curves = Object.values(history).some((values) => values.some(Number.isFinite))
      ? imageOf(plotHistory(history), "Losses and metrics by epoch")
      : "";
    const content = {
      data: { "text/plain": line, "text/html": preformattedHtml(line) + curves },
      metadata: {},
      transient: { display_id: id },
    };
    const type = isOpen ? "update_display_data" : "display_data";
    isOpen = true;
    sent = sent.then(() => broadcast(type, content)).catch(() => {});
  };
  return {
    wantsStep: () => performance.now() - shown >= interval,
    step(progress: Progress) {
      shown = performance.now();
      draw(barLine(progress, Infinity, pacer.step(progress)));
    },
    epoch(progress: Progress) {
      pacer.epoch(progress);
      for (const [name, value] of Object.entries(progress.logs)) (history[name] ??= []).push(value);
      draw(epochLine(progress));
    },
    end: () => sent, // the cell is done when its last message is out
  };
}
