/** What is copied of an input of which a Program reads a part of every row. */
import {
  add,
  host,
  key,
  mul,
  normal,
  scan,
  slice,
  spec,
  sum,
  symbol,
  type Tensor,
  trace,
  zeros,
} from "../../../mod.ts";
import { assertEquals } from "@std/assert";
import { lowerForCpu } from "../../../kernels/cpu/lower.ts";
import { inputReads, readPart } from "../../../kernels/cpu/read_parts.ts";
import { WORTH_SHARING } from "../../../kernels/cpu/partition.ts";
import { reference } from "../../../kernels/reference/mod.ts";
import { wasmTarget } from "../../../kernels/wasm/target.ts";
import { wasm } from "../../../kernels/wasm/mod.ts";

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
    const [expected, actual] = await Promise.all([reference, wasm].map(async (backend) => {
      using executable = await backend.compile(program, options);
      return (await executable.run([x])).map((result) => result.kind === "host" ? [...result.data] : []);
    }));
    actual[0].forEach((value, at) => assertEquals(Math.abs(value - expected[0][at]) < 1e-5, true));
  });
}
