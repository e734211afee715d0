import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { addDims, symbol } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import { planProgram, REGION_ALIGNMENT } from "../../../kernels/reference/plan.ts";
import type { Equation, Program, Value } from "../../../src/program/types.ts";
import { equation, value } from "./helpers.ts";

/** Random Programs: sizes and dtypes are arbitrary, since planning looks at nothing else. */
const programs: fc.Arbitrary<Program> = fc.record({
  inputs: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 3 }),
  steps: fc.array(
    fc.record({
      kind: fc.constantFrom("add", "add", "add", "reshape", "stopGradient", "iota", "scan"),
      reads: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      size: fc.integer({ min: 0, max: 40 }),
      dtype: fc.constantFrom<DType>("float32", "int32", "bool", "float64"),
    }),
    { maxLength: 30 },
  ),
  outputs: fc.array(fc.nat(), { maxLength: 4 }),
}).map(({ inputs, steps, outputs }) => {
  const known: Value[] = inputs.map((size) => value([size]));
  const given = [...known];
  const equations: Equation[] = [];
  const body: Program = { inputs: [], equations: [], outputs: [] };
  for (const { kind, reads, size, dtype } of steps) {
    const read = reads.map((index) => known[index % known.length]);
    const made = value([size], dtype);
    if (kind === "add") equations.push(equation("add", read, [made], {}));
    else if (kind === "iota") {
      equations.push(equation("iota", [], [made], { shape: [size], axis: 0, dtype }));
    } else if (kind === "scan") {
      const second = value([size + 1], dtype);
      const attributes = { body, constants: 0, carries: 0, length: 1, reverse: false, recompute: false };
      equations.push(equation("scan", read, [made, second], attributes));
      known.push(second);
    } else {
      const same = value(read[0].shape, read[0].dtype);
      if (kind === "reshape") equations.push(equation("reshape", [read[0]], [same], { shape: same.shape }));
      else equations.push(equation("stopGradient", [read[0]], [same], {}));
      known.push(same);
      continue;
    }
    known.push(made);
  }
  return { inputs: given, equations, outputs: outputs.map((index) => known[index % known.length]) };
});

/** First and last equation at which memory must hold each value; derived from the Program alone. */
function lifetimes(program: Program): Map<Value, [number, number]> {
  const end = program.equations.length;
  const lives = new Map<Value, [number, number]>();
  program.equations.forEach(({ outputs, inputs }, index) => {
    for (const made of outputs) lives.set(made, inputs.length === 0 ? [-1, end] : [index, index]);
    for (const read of inputs) {
      const life = lives.get(read);
      if (life) life[1] = Math.max(life[1], index);
    }
  });
  for (const output of program.outputs) {
    const life = lives.get(output);
    if (life) life[1] = end;
  }
  return lives;
}

Deno.test("no two values that are live at once share memory, but for renamed ones", () => {
  fc.assert(
    fc.property(programs, (program) => {
      const plan = planProgram(program, {});
      const lives = [...lifetimes(program)];
      const root = (of: Value): Value => {
        const maker = program.equations.find((candidate) => candidate.outputs.includes(of));
        return maker && plan.aliases.has(maker) ? root(maker.inputs[0]) : of;
      };
      for (const [a, [aFirst, aLast]] of lives) {
        const here = plan.regions.get(a);
        assert(here, "every output of an equation is placed");
        assertEquals(here.size, a.shape[0]);
        assertEquals(here.dtype, a.dtype);
        assertEquals(here.offset % REGION_ALIGNMENT, 0);
        assert(here.offset + here.size <= plan.arenas[here.dtype], "a region lies within its arena");
        for (const [b, [bFirst, bLast]] of lives) {
          const there = plan.regions.get(b);
          if (!there || a === b || here.dtype !== there.dtype || root(a) === root(b)) continue;
          if (aLast < bFirst || bLast < aFirst) continue;
          const apart = here.offset + here.size <= there.offset || there.offset + there.size <= here.offset;
          assert(apart, `${JSON.stringify([here, there])} overlap`);
        }
      }
      for (const input of program.inputs) assert(!plan.regions.has(input), "inputs are not placed");
    }),
    { numRuns: 500 },
  );
});

Deno.test("memory of dead values is used again: a chain of any length needs two buffers", () => {
  const x = value([64]);
  const equations: Equation[] = [];
  let last = x;
  for (let i = 0; i < 20; i++) {
    const next = value([64]);
    equations.push(equation("neg", [last], [next], {}));
    last = next;
  }
  const plan = planProgram({ inputs: [x], equations, outputs: [last] }, {});
  assertEquals(plan.arenas, { float32: 128, int32: 0, bool: 0, float64: 0 });
});

Deno.test("the largest are placed first, and smaller ones lie where they were before, or will be", () => {
  const x = value([4]);
  const [a, b, sink, joined, grown] = [value([8]), value([8]), value([4]), value([16]), value([40])];
  const plan = planProgram({
    inputs: [x],
    equations: [
      equation("concat", [x, x], [a], { axis: 0 }),
      equation("concat", [x, x], [b], { axis: 0 }),
      equation("add", [a, b], [sink], {}),
      equation("concat", [x, sink], [joined], { axis: 0 }),
      equation("concat", [x], [grown], { axis: 0 }),
    ],
    outputs: [joined, grown],
  }, {});
  assertEquals(plan.regions.get(grown), { dtype: "float32", offset: 0, size: 40 });
  assertEquals(plan.regions.get(joined), { dtype: "float32", offset: 40, size: 16 });
  assertEquals(plan.regions.get(a)?.offset, 0);
  assertEquals(plan.regions.get(b)?.offset, 8);
  assertEquals(plan.regions.get(sink)?.offset, 16);
  assertEquals(plan.arenas.float32, 56);
});

Deno.test("a reshape shares the memory of what it reshapes, unless that is an input of the Program", () => {
  const x = value([2, 3]);
  const [ofInput, negated, renamed] = [value([6]), value([6]), value([3, 2])];
  const first = equation("reshape", [x], [ofInput], { shape: [6] });
  const second = equation("reshape", [negated], [renamed], { shape: [3, 2] });
  const plan = planProgram({
    inputs: [x],
    equations: [first, equation("neg", [ofInput], [negated], {}), second],
    outputs: [renamed],
  }, {});
  assertEquals([...plan.aliases], [second]);
  assertEquals(plan.regions.get(renamed), plan.regions.get(negated));
});

Deno.test("symbolic sizes take their values from the bindings", () => {
  const batch = symbol("batch");
  const x = value([batch, 3]);
  const y = value([addDims(batch, -2), 3]);
  const program: Program = { inputs: [x], equations: [equation("neg", [x], [y], {})], outputs: [y] };
  assertEquals(planProgram(program, { batch: 5 }).shapes.get(y), [3, 3]);
  assertEquals(planProgram(program, { batch: 5 }).regions.get(y)?.size, 9);
  assertThrows(() => planProgram(program, { batch: 1 }), RangeError, "batch-2");
  assertThrows(() => planProgram(program, {}), RangeError, "batch has no value");
});
