import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  barLine,
  createReporter,
  epochLine,
  findTerminal,
  formatDuration,
  formatNumber,
  formatRate,
} from "../../src/training/progress.ts";
import { createPacer, type Pace, type Progress } from "../../src/training/pace.ts";

const progress: Progress = {
  epoch: 0,
  epochs: 1,
  step: 10,
  steps: 40,
  samples: 320,
  elapsed: 2000,
  logs: { loss: 0.94, accuracy: 0.7, val_loss: 0.51, val_accuracy: 0.8369 },
};

Deno.test("an epoch is one plain line", () => {
  assertEquals(
    epochLine(progress),
    "epoch 1/1  loss: 0.94  accuracy: 0.70  val_loss: 0.51  val_accuracy: 0.8369",
  );
});

Deno.test("numbers keep 4 decimals, or 4 digits where they are very small or large", () => {
  const texts = [0, 1, 0.12344, 0.1, 0.123, 0.0012, 12.5, -0.25, 0.00012344, 12345678, NaN, Infinity]
    .map(formatNumber);
  assertEquals(texts, [
    "0.00",
    "1.00",
    "0.1234",
    "0.10",
    "0.123",
    "0.0012",
    "12.50",
    "-0.25",
    "1.234e-4",
    "1.235e+7",
    "NaN",
    "Infinity",
  ]);
});

Deno.test("durations are in the two largest units", () => {
  assertEquals([0.4, 59, 61, 3725].map(formatDuration), ["0 s", "59 s", "1 min 1 s", "1 h 2 min"]);
});

Deno.test("rates are steps per second, and seconds per step of slow ones", () => {
  assertEquals([160.4, 12, 2.46, 0.4].map(formatRate), [
    "160 steps/s",
    "12 steps/s",
    "2.5 steps/s",
    "2.5 s/step",
  ]);
});

const pace: Pace = { rate: 5, left: 6, inAll: 125 };
/** The least that a line says. */
const LEAST = "epoch 1/1 10/40  6 s left";

Deno.test("the bar shows steps, logs, rate and the time left", () => {
  assertEquals(
    barLine(progress, 200, pace),
    "epoch 1/1 ██████░░░░░░░░░░░░░░░░░░ 10/40  loss: 0.94  accuracy: 0.70  val_loss: 0.51  val_accuracy: 0.8369  " +
      "5.0 steps/s  6 s left (2 min 5 s in all)",
  );
  const unknown = { rate: undefined, left: undefined, inAll: undefined };
  assertEquals(
    barLine({ ...progress, logs: { loss: 1 } }, 200, unknown),
    "epoch 1/1 ██████░░░░░░░░░░░░░░░░░░ 10/40  loss: 1.00",
  );
});

Deno.test("without a known number of steps the bar says what was done and how long it took", () => {
  assertEquals(
    barLine({ ...progress, steps: undefined, logs: { loss: 0.94 } }, 200, { ...pace, left: undefined }),
    "epoch 1/1 10 steps, 320 samples  loss: 0.94  5.0 steps/s  2 s",
  );
});

Deno.test("a narrow terminal gets less, never a line that wraps, and the loss and the time left last", () => {
  const widths = Array.from({ length: 160 }, (_, columns) => columns);
  const lines = widths.map((columns) => barLine(progress, columns, pace));
  for (const columns of widths) {
    const line = lines[columns];
    assert(line.length < Math.max(columns, 1), `${columns} columns: ${line}`);
    assert(columns === 0 || line.length >= lines[columns - 1].length, "more room shows no less");
    assertEquals(line.includes("6 s left"), columns > LEAST.length, line);
    assertEquals(line.includes("loss: 0.94"), columns > LEAST.length + "  loss: 0.94".length, line);
  }
  assertEquals(lines[LEAST.length + 1], LEAST);
  assertEquals(new Set(lines.slice(LEAST.length + 1)).size, 7, "as many layouts");
});

Deno.test("the pace leaves out what comes before the first step that is shown", () => {
  const pacer = createPacer();
  const at = (epoch: number, step: number, elapsed: number): Progress => ({
    ...progress,
    epoch,
    epochs: 3,
    step,
    elapsed,
  });
  // A second of compiling, then 10 steps a second.
  assertEquals(pacer.step(at(0, 1, 1100)), { rate: undefined, left: undefined, inAll: undefined });
  assertEquals(pacer.step(at(0, 11, 2100)), { rate: 10, left: 2.9, inAll: 2.9 + 2 * 4 });
  // With its validation, the epoch took 6 seconds: so will each of the others.
  assertEquals(pacer.epoch(at(0, 40, 6000)), { rate: 10 });
  assertEquals(pacer.step(at(1, 10, 1000)), { rate: 10, left: 3, inAll: 9 });
  assertEquals(pacer.step(at(1, 30, 2000)), { rate: 20, left: 0.5, inAll: 6.5 });
  pacer.epoch(at(1, 40, 3000));
  assertEquals(pacer.step(at(2, 39, 2000)).inAll, undefined, "the last epoch");
});

Deno.test("the pace is that of the epoch's steps in this run, also where it was resumed", () => {
  const pacer = createPacer();
  pacer.step({ ...progress, step: 31, elapsed: 1000 }); // 30 of them in an earlier run
  assertEquals(pacer.step({ ...progress, step: 35, elapsed: 3000 }).left, 2.5);
  // An epoch too short to be shown.
  assertEquals(createPacer().epoch({ ...progress, step: 40, elapsed: 2000 }).rate, 20);
});

Deno.test("the bar is rewritten in place, not more often than every 100 ms, and leaves a line per epoch", () => {
  const written: string[] = [];
  const reporter = createReporter("bar", { write: (text) => void written.push(text), columns: () => 120 });
  assert(reporter.wantsStep());
  reporter.step(progress);
  assert(!reporter.wantsStep());
  reporter.epoch(progress);
  reporter.epoch({ ...progress, elapsed: 60_000 });
  reporter.end();
  assertEquals(written.length, 3);
  assertStringIncludes(written[2], "  (1 min 0 s, 6.0 s/step)\n");
  assert(written.every((text) => text.startsWith("\r\x1b[K")));
  assert(!written[0].includes("\n"));
  assertStringIncludes(written[1], epochLine(progress));
  assert(written[1].endsWith("  (2 s, 5.0 steps/s)\n"));
});

Deno.test("a bar that is broken off leaves the terminal at a new line", () => {
  const written: string[] = [];
  const reporter = createReporter("bar", { write: (text) => void written.push(text), columns: () => 120 });
  reporter.step(progress);
  reporter.end();
  assertEquals(written.at(-1), "\n");
});

Deno.test("a function is given the line of each epoch", () => {
  const written: string[] = [];
  const reporter = createReporter((line) => void written.push(line));
  assert(!reporter.wantsStep());
  reporter.epoch(progress);
  assertEquals(written, [epochLine(progress)]);
});

Deno.test("terminals are found in Deno and Node, and nothing is looked for where there is neither", () => {
  assertEquals(findTerminal({}), undefined);
  assertEquals(findTerminal({ Deno: { stdout: { isTerminal: () => false } } }), undefined);
  assertEquals(findTerminal({ process: { stdout: { isTTY: false } } }), undefined);
  const bytes: number[] = [];
  const deno = findTerminal({
    Deno: {
      stdout: {
        isTerminal: () => true,
        writeSync: (chunk) => bytes.push(chunk[0]) && 1, // one byte at a time
      },
    },
  });
  deno?.write("ab");
  assertEquals(String.fromCharCode(...bytes), "ab");
  assertEquals(deno?.columns(), 80);
  const written: string[] = [];
  const node = findTerminal({
    process: { stdout: { isTTY: true, columns: 50, write: (text) => written.push(text) } },
  });
  node?.write("x");
  assertEquals([written, node?.columns()], [["x"], 50]);
});

Deno.test("an unknown way to report is refused with the nearest known one", () => {
  const unknown = "line" as "lines"; // what plain JavaScript may pass
  assertThrows(() => createReporter(unknown), RangeError, 'did you mean "lines"?');
});
