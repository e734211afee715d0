/** Sums in the bodies of scans: what the passes make of them, and that nothing computed changes beyond rounding. */
import { assert, assertEquals } from "@std/assert";
import {
  add,
  compile,
  host,
  key,
  matmul,
  max,
  normal,
  printProgram,
  scan,
  spec,
  splitKey,
  sum,
  tanh,
  type Tensor,
  trace,
} from "../../mod.ts";
import { specOf } from "../../src/internal.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import { mapTree, treeLeaves } from "../../src/tree/tree.ts";
import { runPasses } from "../../src/passes/mod.ts";

type Weights = readonly { readonly w: Tensor; readonly u: Tensor; readonly b: Tensor }[];

const [BATCH, TIME, FEATURES, UNITS] = [3, 4, 5, 8];

function weights(count: number): Weights {
  return splitKey(key(1), count).map((own) => {
    const [w, u, b] = splitKey(own, 3);
    return { w: normal(w, [FEATURES, UNITS]), u: normal(u, [UNITS, UNITS]), b: normal(b, [UNITS]) };
  });
}

/** A cell that sums up its gates, each of them a sum of three terms in the given order. */
function folded(order: readonly ("x" | "h" | "b")[]) {
  return (gates: Weights, x: Tensor): Tensor =>
    scan(
      (h: Tensor, step: Tensor) => {
        const sums = gates.map(({ w, u, b }) => {
          const terms = { x: () => matmul(step, w), h: () => matmul(h, u), b: () => b };
          return tanh(order.map((name) => terms[name]()).reduce((a, b) => add(a, b)));
        });
        const next = sums.reduce((a, b) => add(a, b));
        return [next, next];
      },
      normal(key(2), [BATCH, UNITS]),
      x,
    )[0];
}

const x = normal(key(3), [BATCH, TIME, FEATURES]);

function programOf(fn: (gates: Weights, x: Tensor) => Tensor, gates: Weights) {
  const notes: string[] = [];
  const specs = mapTree([gates, x], specOf);
  const { program } = trace(fn as (...args: never[]) => unknown, ...specs);
  return {
    program,
    optimized: runPasses(program, (_, __, more) => notes.push(...more)),
    notes: notes.join("\n"),
  };
}

for (const order of [["x", "h", "b"], ["h", "x", "b"], ["b", "h", "x"]] as const) {
  Deno.test(`a sum of ${order.join(" + ")} leaves the loop but for its product of the state`, () => {
    const gates = weights(1);
    const { program, optimized, notes } = programOf(folded(order), gates);
    assert(notes.includes("summed up first 2 of 3 terms"), notes);
    assert(notes.includes(`hoisted add float32[${BATCH}, ${UNITS}] out of a scan`), notes);
    const inputs = treeLeaves<HostTensor>([gates, x]);
    const [before, after] = [program, optimized].map((each) => runProgram(each, inputs)[0]);
    for (const [index, value] of before.data.entries()) {
      // A few sums of a dozen terms of order 1 in another order, carried through four steps.
      assert(
        Math.abs(value - after.data[index]) < 1e-5,
        `element ${index}: ${value} and ${after.data[index]}`,
      );
    }
  });
}

Deno.test("gates written apart in any order are compiled to the body of gates written together", () => {
  const body = (order: readonly ("x" | "h" | "b")[]) => {
    const { optimized, notes } = programOf(folded(order), weights(3));
    assert(notes.includes("joined 3 additions of a scan into float32[3, 24]"), notes);
    const text = printProgram(optimized);
    return text.slice(text.indexOf("=> {", text.indexOf(" = scan ")), text.indexOf("\n  }")).replaceAll(
      /%\d+/g,
      "%",
    );
  };
  assertEquals(body(["x", "h", "b"]), body(["x", "b", "h"]));
});

Deno.test("sums of terms that all wait for the state stay as they were written", () => {
  const fn = (u: Tensor, x: Tensor) =>
    scan(
      (h: Tensor, step: Tensor) => {
        const next = tanh(add(add(matmul(h, u), tanh(h)), step));
        return [next, next];
      },
      normal(key(2), [BATCH, UNITS]),
      x,
    )[0];
  const notes: string[] = [];
  const { program } = trace(
    fn as never,
    specOf(normal(key(4), [UNITS, UNITS])),
    specOf(normal(key(5), [BATCH, TIME, UNITS])),
  );
  runPasses(program, (_, __, more) => notes.push(...more));
  assertEquals(notes.filter((note) => note.includes("summed") || note.includes("joined")), []);
});

Deno.test({
  name: "products with addends give on wasm what they give on the reference",
  // The workers of a device outlive a test.
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    for (const order of [["x", "h", "b"], ["b", "h", "x"]] as const) {
      const gates = weights(3);
      const [wasm, reference] = await Promise.all((["wasm", "reference"] as const).map(async (device) => {
        using compiled = compile(folded(order), { device });
        return [...((await compiled(gates, x)) as HostTensor).data]; // nothing is kept on the device
      }));
      wasm.forEach((value, index) => assert(Math.abs(value - reference[index]) < 1e-5, `${index}: ${value}`));
    }
  },
});

Deno.test("a sum or maximum over single elements is a reshape", () => {
  const single = (x: Tensor) => [
    sum(x, { axes: 1 }),
    max(x, { axes: [1, 3] }),
    sum(x, { axes: [1, 3], keepDims: true }),
    sum(x, { axes: [1, 2] }),
  ];
  const { program } = trace(single as (...args: never[]) => unknown, spec([5, 1, 4, 1]));
  const kinds = runPasses(program).equations.map(({ operation }) => operation.name);
  assertEquals(kinds.filter((name) => name === "max"), []);
  assertEquals(kinds.filter((name) => name === "sum"), ["sum"]);
  const input = host(normal(key(4), [5, 1, 4, 1]));
  const [before, after] = [program, runPasses(program)].map((each) => runProgram(each, [input]));
  before.forEach((value, index) => assertEquals([...after[index].data], [...value.data]));
});
