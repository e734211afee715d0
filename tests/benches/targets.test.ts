/** What must be reached: the evaluation, and the data of the workloads. */
import { assert, assertEquals } from "@std/assert";
import type { Entry, Subject } from "../../benches/support/measurements.ts";
import { markdownTable, pageWithTable, printTable } from "../../benches/support/report.ts";
import { describeTarget, evaluate, printFigure, type Target } from "../../benches/support/targets.ts";
import { smallTask } from "../../benches/support/tasks.ts";
import { webGpuWorkloads } from "../../benches/webgpu_workloads.ts";
import { nativeWorkloads, workloads } from "../../benches/workloads.ts";

const entry = (
  workload: string,
  subject: Subject,
  medianMs: number,
  values?: Entry["values"],
): Entry => ({ workload, subject, threads: 2, medianMs, minMs: medianMs / 2, ...(values && { values }) });

const entries = [
  entry("a", "cellfold", 3, { bytes: 100 }),
  entry("a", "pytorch", 4),
  entry("b", "cellfold", 8),
];

Deno.test("a ratio to a peer is that of the medians in the same workload", () => {
  const target: Target = { kind: "peer", peer: "pytorch", mustReach: 0.75, aim: 0.7 };
  assertEquals(evaluate(target, "a", entries), { target, reached: 0.75, passes: true });
  assertEquals(evaluate({ ...target, mustReach: 0.74 }, "a", entries).passes, false);
});

Deno.test("what is missed and takes less than the products alone is told apart", () => {
  const measured = [{ ...entry("a", "cellfold", 3), leastMs: 2 }, entry("a", "pytorch", 2)];
  const target: Target = { kind: "peer", peer: "pytorch", mustReach: 0.9 };
  assertEquals(evaluate(target, "a", measured), { target, reached: 1.5, passes: false, leastMs: 2 });
  assertEquals(evaluate({ ...target, mustReach: 1.1 }, "a", measured).leastMs, undefined);
  assertEquals(evaluate({ ...target, mustReach: 2 }, "a", measured).leastMs, undefined);
});

Deno.test("what was not measured is neither reached nor missed", () => {
  const target: Target = { kind: "peer", peer: "jax", mustReach: 1 };
  assertEquals(evaluate(target, "a", entries), { target });
  assertEquals(evaluate({ ...target, peer: "pytorch" }, "b", entries).passes, undefined);
  assertEquals(evaluate({ kind: "time", mustReach: 1 }, "c", entries).passes, undefined);
});

Deno.test("a ratio to another workload may be taken by parts", () => {
  const target: Target = { kind: "workload", workload: "a", mustReach: 1.25 };
  assertEquals(evaluate(target, "b", entries).reached, 8 / 3);
  assertEquals(evaluate({ ...target, parts: 4 }, "b", entries).reached, 2 / 3);
});

Deno.test("a ratio to another workload may be that of a measured value", () => {
  const target = { kind: "workload", workload: "b", value: "bytes", mustReach: 2 } as const;
  const entries = [
    entry("a", "cellfold", 1, { bytes: 30 }),
    entry("b", "cellfold", 5, { bytes: 20 }),
  ];
  assertEquals(evaluate(target, "a", entries), { target, reached: 1.5, passes: true });
  assertEquals(evaluate(target, "a", [entries[0], entry("b", "cellfold", 5)]), { target });
  assertEquals(describeTarget(target), "× bytes of b");
});

Deno.test("times and other values have limits of their own", () => {
  assertEquals(evaluate({ kind: "time", mustReach: 3 }, "a", entries).passes, true);
  const target: Target = { kind: "value", value: "bytes", unit: "bytes", mustReach: 99 };
  assertEquals(evaluate(target, "a", entries), { target, reached: 100, passes: false });
  assertEquals(evaluate({ ...target, value: "others" }, "a", entries), {
    target: { ...target, value: "others" },
  });
});

Deno.test("figures carry the unit of their target", () => {
  assertEquals(printFigure({ kind: "time", mustReach: 1 }, 0.0031), "3.10 µs");
  assertEquals(printFigure({ kind: "time", mustReach: 1 }, 150), "150 ms");
  assertEquals(printFigure({ kind: "peer", peer: "jax", mustReach: 1 }, 0.03), "0.030 ×");
});

Deno.test("names are told apart, and what a target needs is measured", () => {
  const names = workloads.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { name, targets, native, peers } of [...workloads, ...nativeWorkloads]) {
    const isCompared = workloads.some(({ targets }) =>
      targets.some((target) => target.kind === "workload" && target.workload === name)
    );
    assert(targets.length > 0 || native !== undefined || isCompared, name);
    for (const target of targets) {
      if (target.kind === "peer") assert(peers.includes(target.peer), `${name} needs ${target.peer}`);
      if (target.kind === "workload") assert(names.includes(target.workload), name);
      if (target.aim !== undefined) assert(target.aim <= target.mustReach, name);
    }
  }
});

Deno.test("small tasks are tasks of the same kind", () => {
  for (const { task } of workloads) assertEquals(smallTask(task).kind, task.kind);
});

Deno.test("both tables say for every workload what was reached", () => {
  const measured = workloads.map(({ name }) => entry(name, "cellfold", 1));
  const results = { workloads, entries: measured, heading: ["a machine"] };
  const [text, markdown] = [printTable(results), markdownTable(results)];
  for (const { name } of workloads) {
    assert(text.includes(`${name}: `), name);
    assert(markdown.includes(`| \`${name}\` |`), name);
  }
  const rows = markdown.split("\n").filter((line) => line.startsWith("|"));
  assertEquals(new Set(rows.map((row) => row.split("|").length)).size, 1, "every row has as many cells");
});

Deno.test("a table replaces what stands between the marks of its backend, and nothing else", () => {
  const page = "before\n\n<!-- bench wasm -->\n\nold\n\n<!-- end of bench wasm -->\n\nafter\n";
  const written = pageWithTable(page, "wasm", "new\n");
  assertEquals(written, page.replace("old", "new"));
  assertEquals(pageWithTable(written, "wasm", "old\n"), page);
  assertEquals(pageWithTable(page, "webgpu", "new\n"), "new\n");
  assertEquals(pageWithTable("", "wasm", "new\n"), "new\n");
});

Deno.test({
  name: "docs/performance.md has a place for the table of each backend, with every workload in it",
  ignore: Deno.permissions.querySync({ name: "read" }).state !== "granted",
  fn: () => {
    const page = Deno.readTextFileSync(new URL("../../docs/performance.md", import.meta.url));
    for (
      const [backend, all] of Object.entries({
        wasm: workloads,
        native: nativeWorkloads,
        webgpu: webGpuWorkloads,
      })
    ) {
      const [, table] = page.split(new RegExp(`<!-- (?:end of )?bench ${backend} -->`));
      assert(table, `no marks for ${backend}`);
      for (const { name } of all.filter(({ name }) => !name.startsWith("gpu/"))) { // those need a GPU
        assert(table.includes(`| \`${name}\``), `${name} is missing`);
      }
    }
  },
});
