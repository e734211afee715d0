/** What is copied of an input of which a Program reads a part of every row. */
import {
  add,
  compile,
  concat,
  host,
  type HostTensor,
  key,
  mul,
  normal,
  scan,
  select,
  slice,
  spec,
  sum,
  symbol,
  type Tensor,
  tensor,
  toNested,
  trace,
  zeros,
} from "../../../mod.ts";
import { assertEquals } from "@std/assert";
import type { Backend } from "../../../kernels/backend.ts";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { inputReads, readPart } from "../../../kernels/cpu/read_parts.ts";
import { WORTH_SHARING } from "../../../kernels/cpu/partition.ts";
import { reference } from "../../../kernels/reference/mod.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import { wasm } from "../../../kernels/wasm/mod.ts";
import { rowsTensor } from "../../../src/tensor/rows.ts";

const from = (x: Tensor, start: number, size: number) =>
  slice(x, { start: [0, start, 0], size: [x.shape[0], size, 64] });

/** A cell that adds its inputs up. */
const total = (state: Tensor, input: Tensor): [Tensor, Tensor] => [input, add(state, input)];

/** Functions of ten steps of 64 elements, and the part of a row that they read. */
const cases = {
  "the last step": [(x: Tensor) => mul(from(x, 9, 1), 2), { row: 640, first: 576, count: 64 }],
  "two steps and what lies between": [
    (x: Tensor) => add(from(x, 1, 1), from(x, 4, 1)),
    { row: 640, first: 64, count: 256 },
  ],
  "a scan over some steps": [
    (x: Tensor) => scan(total, zeros([x.shape[0], 64]), from(x, 2, 4))[1],
    { row: 640, first: 128, count: 256 },
  ],
  "more than half of all steps": [(x: Tensor) => mul(from(x, 3, 6), 2), undefined],
  "everything": [(x: Tensor) => sum(x, { axes: [1] }), undefined],
} as const;

for (const [name, [fn, part]] of Object.entries(cases)) {
  Deno.test(`readPart: ${name}`, async () => {
    const { program } = trace(fn, spec([symbol("batch"), 10, 64]));
    const { kernels } = lowerForCpu(program, { threads: 1, target: wasmTarget, shareFrom: WORTH_SHARING });
    assertEquals(readPart(inputReads(kernels).get(0) ?? [], [3, 10, 64], { batch: 3 }), part);

    const x = host(normal(key(1), [3, 10, 64]));
    const options = { donate: [false], keep: program.outputs.map(() => false) };
    const resultOf = async (backend: Backend, x: HostTensor) => {
      using executable = await backend.compile(program, options);
      return (await executable.run([x])).map((result) => result.kind === "host" ? [...result.data] : []);
    };
    const expected = await resultOf(reference, x), actual = await resultOf(wasm, x);
    actual[0].forEach((value, at) => assertEquals(Math.abs(value - expected[0][at]) < 1e-5, true));

    // Rows of another tensor, which are not copied anywhere but to the device.
    const source = host(concat([normal(key(2), [2, 10, 64]), x], { axis: 0 }));
    const rows = rowsTensor({ source, indices: [2, 3, 4] }, () => {
      throw new Error("The rows are copied");
    });
    assertEquals(await resultOf(wasm, rows), actual);
  });
}

Deno.test("rows of whole numbers, of booleans and of one element are copied to the device", async () => {
  const fn = ([x, y, z]: readonly Tensor[]) => [mul(x, 2), select(z, y, 0)];
  const source = [tensor([[1, 2], [3, 4], [5, 6]]), tensor([1.5, 2.5, 3.5]), tensor([true, false, true])];
  const indices = [2, 2, 0, 1];
  const rows = source.map((each) =>
    rowsTensor({ source: host(each), indices }, () => {
      throw new Error("The rows are copied");
    })
  );
  using compiled = compile(fn, { device: "wasm" });
  const [doubled, selected] = await compiled(rows);
  assertEquals(toNested(doubled), [[10, 12], [10, 12], [2, 4], [6, 8]]);
  assertEquals(toNested(selected), [3.5, 3.5, 1.5, 0]);
  const [, found] = await compiled([rows[0], host(tensor([1, 2, 3, 4])), rows[2]]);
  assertEquals(toNested(found), [1, 2, 3, 0]);
});
