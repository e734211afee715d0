/** The worker of the demo: runs a program and trains its cell. The page ends it whenever it wants to. */
import * as cf from "@cellfold/cellfold";
import { begin, explainStep, programIn } from "./cell.ts";
import { load, NotLoaded } from "./load.ts";
import type { Failure, Report, RunRequest } from "./messages.ts";
import { pictureOf } from "./picture.ts";
import { tasks } from "./tasks.ts";

/** Steps after which a step is explained, and milliseconds between reports of losses. */
const [EXPLAINED_AFTER, REPORTED_EVERY] = [25, 60];

// Of a deep stack, the program's line is far below the library's.
Object.assign(Error, { stackTraceLimit: 200 });

function report(what: Report): void {
  postMessage(what);
}

for (const level of ["log", "info", "warn", "error"] as const) {
  console[level] = (...values: unknown[]) => report({ kind: "said", text: values.map(textOf).join(" ") });
}

function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return cf.isTensor(value)
    ? `${value.dtype}[${value.shape.join(", ")}]`
    : JSON.stringify(value, undefined, 1);
}

async function run({ source, settings, steps }: RunRequest): Promise<void> {
  report({ kind: "started" });
  let place = (error: unknown): Failure => ({ message: String(error) });
  try {
    const loaded = await load(source, cf);
    place = loaded.place;
    const program = programIn(loaded.exports);
    using training = begin(program, settings, settings.device);
    const { withoutMemory } = tasks[settings.task]();
    report({ kind: "traced", weights: training.weights, withoutMemory });
    let losses: number[] = [], since = performance.now();
    const send = () => {
      report({ kind: "steps", losses, milliseconds: performance.now() - since });
      [losses, since] = [[], performance.now()];
    };
    for (let step = 1; step <= steps; step++) {
      losses.push(await training.step());
      if (step === 1 || performance.now() - since > REPORTED_EVERY) send();
      if (step !== Math.min(steps, EXPLAINED_AFTER)) continue;
      send();
      report({ kind: "explained", picture: pictureOf(await explainStep(program, settings)) });
      since = performance.now();
    }
    if (losses.length > 0) send();
    report({ kind: "done" });
  } catch (error) {
    report({ kind: "failed", failure: error instanceof NotLoaded ? error.failure : place(error) });
  }
}

addEventListener("message", ({ data }: MessageEvent<RunRequest>) => void run(data), { once: true });
