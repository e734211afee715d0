/** How the page "Benchmark" measures, with libraries that only say when they are called. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { compare, type Comparison, type Row } from "../../site/demos/benchmark/benchmark.ts";
import { ratio, reportText } from "../../site/demos/benchmark/report.ts";
import { given, type Subject, workloads } from "../../site/demos/benchmark/workloads.ts";

/** The milliseconds of a clock that only steps move: a busy machine changes nothing. */
let clock = 0;
performance.now = () => clock;

/** A library whose step takes so many milliseconds, and whose result is given. */
function fake(name: string, result: readonly number[], milliseconds: number, calls: string[] = []): Subject {
  return {
    name,
    device: "WebAssembly",
    can: () => true,
    prepare: () =>
      Promise.resolve({
        check: () => Promise.resolve(result),
        step() {
          calls.push(name);
          clock += milliseconds;
          return Promise.resolve();
        },
        [Symbol.dispose]: () => void calls.push(`${name} disposed`),
      }),
  };
}

const [workload] = workloads;
const options = (rounds: number, signal = new AbortController().signal) => ({
  rounds,
  signal,
  progress() {},
});

Deno.test("benchmark: each round begins with another library, and all are freed", async () => {
  const calls: string[] = [];
  const subjects = [fake("a", [1], 40, calls), fake("b", [1], 40, calls), fake("c", [1], 40, calls)];
  const { rows } = await compare(workload, subjects, options(3));
  const turns = calls.slice(-12); // a step of 40 ms is a turn
  assertEquals(turns, [..."abcbcacab", "a disposed", "b disposed", "c disposed"]);
  for (const { milliseconds } of rows) assertEquals(milliseconds, 40);
});

Deno.test("benchmark: steps that are shorter than a turn are repeated, and take the time of one", async () => {
  const { rows: [row, other] } = await compare(workload, [fake("a", [1], 1), fake("b", [1], 4)], options(2));
  assertEquals([row.milliseconds, other.milliseconds, ratio(other, [row])], [1, 4, 4]);
});

Deno.test("benchmark: results that differ, have another size or are no numbers are not timed", async () => {
  const results = [[1, 2], [1, 2.00001], [1, 2.1], [1], [1, NaN]];
  const subjects = results.map((result, i) => fake(String(i), result, 30));
  const { rows } = await compare(workload, subjects, options(1));
  assertEquals(rows.map(({ milliseconds }) => milliseconds !== undefined), [true, true, false, false, false]);
  assertStringIncludes(rows[2].failure ?? "", "its results differ by 0.10");
});

Deno.test("benchmark: a library that cannot be prepared is named with the reason, and the others are measured", async () => {
  const broken: Subject = { ...fake("b", [1], 30), prepare: () => Promise.reject(new Error("no memory")) };
  const { rows } = await compare(workload, [fake("a", [1], 30), broken], options(1));
  assertEquals(rows[1].failure, "no memory");
  assert(rows[0].milliseconds !== undefined);
});

Deno.test("benchmark: what is cancelled stops and is freed", async () => {
  const calls: string[] = [];
  const controller = new AbortController();
  const running = compare(workload, [fake("a", [1], 20, calls)], options(1000, controller.signal));
  setTimeout(() => controller.abort(new Error("enough")), 100);
  await assertRejects(() => running, Error, "enough");
  assertEquals(calls.at(-1), "a disposed");
});

Deno.test("benchmark: the text has times, ratios and failures", () => {
  const rows: Row[] = [
    { subject: "Cellfold 1", device: "WebAssembly", milliseconds: 2, difference: 0 },
    { subject: "Other 2", device: "WebAssembly", milliseconds: 5, difference: 1e-7 },
    { subject: "Third 3", device: "WebGPU", failure: "no adapter" },
  ];
  const comparison: Comparison = { workload, rows };
  const place = { date: new Date(0), userAgent: "A browser", processors: 8, rounds: 7 };
  const lines = reportText([comparison], () => "Prediction", place).split("\n");
  assertEquals(lines.slice(0, 2), ["Cellfold benchmark, 1970-01-01T00:00:00.000Z", "A browser"]);
  assertStringIncludes(lines[2], "8 logical processors");
  assertEquals(lines.slice(4, 8).map((line) => line.replaceAll(/ +/g, " ")), [
    "Prediction",
    " Cellfold 1, WebAssembly 2 ms 1 x",
    " Other 2, WebAssembly 5 ms 2.5 x",
    " Third 3, WebGPU failed: no adapter",
  ]);
});

Deno.test("benchmark: all libraries get the same weights and data", () => {
  for (const workload of workloads) {
    const [first, second] = [given(workload), given(workload)];
    assertEquals(first.variables, second.variables);
    assertEquals(first.x.data, second.x.data);
    assertEquals(first.y.shape, [workload.batch]);
    assert([...first.y.data].every((label) => label >= 0 && label < 10));
  }
});
