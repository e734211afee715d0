/** The parts of the demo "Forecast" that need no page: tables, training, predictions. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { chartOf } from "../../site/demos/forecast/chart.ts";
import { parseTable, type Problem, TableError } from "../../site/demos/forecast/csv.ts";
import { exampleTable } from "../../site/demos/forecast/example.ts";
import {
  errorsOf,
  model,
  predictHeldOut,
  predictNext,
  prepare,
  stepsOf,
  train,
} from "../../site/demos/forecast/forecast.ts";

/** The problem that a TableError names. */
function problemOf(run: () => unknown): Problem {
  const error = assertThrows(run, TableError) as TableError; // the class that was asked for
  return error.problem;
}

const column = (values: readonly number[]) => ({ name: "a", values, gaps: [] });

Deno.test("parseTable: names, dates left out, Windows line ends, a byte order mark, blank lines", () => {
  const columns = parseTable("\uFEFFdate,a,b\r\n2024-01-01,1.5,-2e3\r\n2024-01-02,2,.5\r\n\r\n");
  assertEquals(columns.map(({ name, values }) => [name, ...values]), [["a", 1.5, 2], ["b", -2000, 0.5]]);
});

Deno.test("parseTable: semicolons with decimal commas, tabs, no names", () => {
  assertEquals(parseTable("x;y\n1,5;2\n2,5;3")[0].values, [1.5, 2.5]);
  assertEquals(parseTable("1\t2\n3\t4").map(({ name, values }) => [name, ...values]), [["1", 1, 3], [
    "2",
    2,
    4,
  ]]);
});

Deno.test("parseTable: quoted fields hold separators, quotes and line ends, and lines keep their numbers", () => {
  const [a] = parseTable('name,a\n"x, ""y""\nz",1\nw,\n"v",3\n');
  assertEquals(a.values, [1, NaN, 3]);
  assertEquals(a.gaps, [{ line: 4, found: "" }]);
});

Deno.test("parseTable: what cannot be read is named", () => {
  assertEquals(problemOf(() => parseTable(" \n\n")), { kind: "empty" });
  assertEquals(problemOf(() => parseTable("a,b\nx,y\nz,w")), { kind: "noNumbers" });
  assertEquals(problemOf(() => parseTable("a,b\n1,2\n3")), {
    kind: "ragged",
    line: 3,
    fields: 1,
    expected: 2,
  });
});

Deno.test("prepare: gaps, short and constant series are refused", () => {
  const [a] = parseTable("a\n" + Array.from({ length: 99 }, (_, i) => i === 40 ? "NaN" : i % 7).join("\n"));
  assertEquals(problemOf(() => prepare(a, 7)), {
    kind: "gap",
    column: "a",
    line: 42,
    found: "NaN",
    others: 0,
  });
  assertEquals(problemOf(() => prepare(column([1, 2, 3]), 4)), { kind: "short", rows: 3, expected: 30 });
  assertEquals(problemOf(() => prepare(column(Array(99).fill(5)), 7)), {
    kind: "constant",
    column: "a",
    value: 5,
  });
});

Deno.test("prepare: as many rows as a refusal asks for are enough", () => {
  const values = Array.from({ length: 30 }, (_, i) => i % 3);
  assertEquals(prepare(column(values), 4).trained, 24);
});

Deno.test("chartOf: predictions where they were held out, the forecast from the last value on", () => {
  const names = { measured: "m", predicted: "p", forecast: "f" };
  assertEquals(chartOf([1, NaN, 3], undefined, names), {
    x: [1, 2, 3],
    lines: [{ name: "m", values: [1, null, 3] }],
  });
  const values = Array.from({ length: 30 }, (_, i) => i % 3);
  const prepared = prepare(column(values), 4);
  const predicted = Array(6).fill(7);
  const result = { prepared, predicted, next: [8, 9], errors: errorsOf(prepared, predicted) };
  const { x, lines: [measured, held, ahead] } = chartOf(values, result, names);
  assertEquals([x[0], x.at(-1), x.length], [13, 32, 20]);
  for (const { values } of [measured, held, ahead]) assertEquals(values.length, x.length);
  assertEquals(held.values.indexOf(7), x.indexOf(25)); // the first of those held out
  assertEquals(ahead.values.slice(-4), [null, values[29], 8, 9]);
});

Deno.test("the model does not depend on the level of its window", async () => {
  const variables = cf.init(model, cf.key(2), cf.spec([null, 6, 1]));
  const window = cf.normal(cf.key(3), [1, 6, 1]);
  const low = cf.item(await cf.predict(model, variables, window));
  const high = cf.item(await cf.predict(model, variables, cf.add(window, 8)));
  assertAlmostEquals(high - low, 8, 1e-5);
});

Deno.test("train: half the error of repeating the last value on the example, and a finite forecast", async () => {
  const [visitors] = parseTable(exampleTable(365));
  const prepared = prepare(visitors, 14);
  const losses: number[] = [];
  const epochs = 20;
  const variables = await train(prepared, {
    device: "wasm",
    epochs,
    report: (loss) => void losses.push(loss),
  });
  assertEquals(losses.length, stepsOf(prepared, epochs));
  const predicted = await predictHeldOut(prepared, variables, "wasm");
  assertEquals(predicted.length, 73); // the last fifth
  const errors = errorsOf(prepared, predicted);
  assert(errors.model < 0.5 * errors.repeated, JSON.stringify([errors.model, errors.repeated]));

  const next = await predictNext(prepared, variables, { steps: 14, device: "wasm" });
  assertEquals(next.length, 14);
  // Visitors have a week: Saturdays (the series starts on a Monday) are above Mondays in the forecast too.
  const day = (weekday: number) => next.filter((_, i) => (365 + i) % 7 === weekday);
  assert(Math.min(...day(5)) > Math.max(...day(0)), next.join(" "));
});

Deno.test("train: a signal ends it after the step that is running", async () => {
  const stop = new AbortController();
  let steps = 0;
  const prepared = prepare(parseTable(exampleTable(200))[0], 7);
  await train(prepared, {
    device: "wasm",
    epochs: 50,
    signal: stop.signal,
    report(_loss, step) {
      steps = step;
      if (step === 3) stop.abort();
    },
  });
  assertEquals(steps, 3);
});
