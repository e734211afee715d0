import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  barLine,
  createReporter,
  epochLine,
  findTerminal,
  formatDuration,
  formatNumber,
  type Progress,
} from "../../src/training/progress.ts";

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

Deno.test("the bar shows steps, logs, speed and the time left, and never wraps", () => {
  const line = barLine(progress, 200);
  for (const part of ["epoch 1/1", "██████░", "10/40", "loss: 0.94", "160 samples/s", "6 s left"]) {
    assertStringIncludes(line, part);
  }
  assertEquals(barLine(progress, 30).length, 29);
});

Deno.test("the bar is rewritten in place, not more often than every 100 ms, and leaves a line per epoch", () => {
  const written: string[] = [];
  const reporter = createReporter("bar", { write: (text) => void written.push(text), columns: () => 120 });
  assert(reporter.wantsStep());
  reporter.step(progress);
  assert(!reporter.wantsStep());
  reporter.epoch(progress);
  reporter.end();
  assertEquals(written.length, 2);
  assert(written.every((text) => text.startsWith("\r\x1b[K")));
  assert(!written[0].includes("\n"));
  assertStringIncludes(written[1], epochLine(progress));
  assert(written[1].endsWith("\n"));
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
