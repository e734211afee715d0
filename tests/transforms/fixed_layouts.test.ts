/** Layouts of values that no step changes are computed when a loop begins, and steps give the same. */
import { assertEquals } from "@std/assert";
import {
  add,
  concat,
  host,
  type HostTensor,
  matmul,
  reverse,
  slice,
  tanh,
  type Tensor,
  tensor,
  transpose,
} from "@cellfold/cellfold";
import { runProgram } from "../../kernels/reference/mod.ts";
import { trace } from "../../src/program/functions.ts";
import { layOut, takeFixedLayouts } from "../../src/transforms/fixed_layouts.ts";
import { compileStep } from "../../src/transforms/loop.ts";
import { uploadTree } from "../../src/transforms/uploads.ts";

interface Fixed {
  /** `[units, 2 · units]`, as another library keeps it. */
  readonly kernel: Tensor;
  readonly bias: Tensor;
  readonly unread: Tensor;
}

const values = (count: number, from: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(from + i));
const fixed = {
  kernel: tensor(values(18, 1), { shape: [3, 6] }),
  bias: tensor(values(3, 2), { shape: [3] }),
  unread: tensor(values(4, 3), { shape: [2, 2] }),
};
const state = tensor(values(3, 4), { shape: [1, 3] });
const input = tensor(values(3, 5), { shape: [1, 3] });

/** A step whose kernel is a part of another, transposed and put together anew. */
function step({ kernel, bias, unread }: Fixed, state: Tensor, input: Tensor): readonly [Tensor, Tensor] {
  const part = (at: number) => slice(kernel, { start: [0, at], size: [3, 3] });
  const whole = transpose(concat([part(3), reverse(part(0), [0])], { axis: 1 }));
  const next = tanh(add(matmul(concat([input, state], { axis: 1 }), whole), bias));
  return [next, add(next, slice(unread, { start: [0, 0], size: [1, 1] }))];
}

Deno.test("takeFixedLayouts leaves no layout of what is fixed in the step, and its results to the bit", async () => {
  const { program } = trace(step as (...args: never[]) => unknown, fixed, state, input);
  const { bias, kernel, unread } = fixed; // in the order of their names
  const layouts = takeFixedLayouts(program, 3);
  const names = (from: typeof program) => from.equations.map(({ operation }) => operation.name);
  assertEquals(names(program).filter((name) => ["transpose", "reverse"].includes(name)).length, 2);
  assertEquals(names(layouts.program).filter((name) => ["transpose", "reverse"].includes(name)), []);
  assertEquals(names(layouts.program).filter((name) => name === "concat").length, 1, "of input and state");
  assertEquals(
    names(layouts.program).filter((name) => name === "slice").length,
    3,
    "a view stays, as do unread ones",
  );
  const inputs = await layOut(layouts, [bias, kernel, unread]);
  assertEquals(inputs.length, layouts.count);
  assertEquals(
    runProgram(layouts.program, [...inputs, state, input] as HostTensor[]).map(({ data }) => [...data]),
    runProgram(program, [bias, kernel, unread, state, input]).map(({ data }) => [...data]),
  );
});

Deno.test("takeFixedLayouts returns a step without them as it is", () => {
  const { program } = trace(
    (({ kernel }: Fixed, state: Tensor, input: Tensor) => {
      const next = matmul(add(input, state), slice(kernel, { start: [0, 0], size: [3, 3] }));
      return [next, transpose(transpose(next))];
    }) as (...args: never[]) => unknown,
    fixed,
    state,
    input,
  );
  const layouts = takeFixedLayouts(program, 3);
  assertEquals(layouts.program === program, true);
  assertEquals(layouts.count, 3);
});

for (const device of ["reference", "wasm"] as const) {
  Deno.test(`loops over a step share what was laid out, from the host and from a device: ${device}`, async () => {
    const compiled = await compileStep(step, fixed as Fixed, state, input, input, { device });
    const placed = await uploadTree(fixed, device);
    const expected = [0, 1, 2].reduce<{ state: Tensor; outputs: number[][] }>(({ state, outputs }) => {
      const [output, next] = step(fixed, state, input);
      return { state: next, outputs: [...outputs, [...host(output).data]] };
    }, { state, outputs: [] }).outputs;
    for (const given of [fixed, fixed, placed] as readonly Fixed[]) {
      using loop = await compiled.begin(given, state, input);
      for (const wanted of expected) {
        const output = host(await loop.run(input));
        output.data.forEach((value, i) => {
          if (Math.abs(value - wanted[i]) > 1e-6) throw new Error(`${value} instead of ${wanted[i]}`);
        });
      }
    }
    for (const leaf of Object.values(placed)) leaf[Symbol.dispose]();
    compiled[Symbol.dispose]();
  });
}
