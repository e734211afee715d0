import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  add,
  compile,
  cumsum,
  reverse,
  scan,
  spec,
  type Tensor,
  tensor,
  toNested,
  trace,
  transpose,
  zeros,
} from "../../mod.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";

const kinds = fc.record({
  shape: fc.tuple(
    fc.integer({ min: 0, max: 5 }),
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 6 }),
  ),
  axis: fc.integer({ min: 0, max: 2 }),
  exclusive: fc.boolean(),
  reverse: fc.boolean(),
  dtype: fc.constantFrom("float32" as const, "int32" as const),
  seed: fc.integer({ min: 0, max: 1000 }),
});

/** The running sum as a fold over the axis, which is put where time is. */
function folded(x: Tensor, axis: number, exclusive: boolean, fromEnd: boolean): Tensor {
  const permutation = [0, 1, 2];
  [permutation[1], permutation[axis]] = [permutation[axis], permutation[1]];
  const sequence = transpose(x, { permutation });
  const [sums] = scan(
    (total: Tensor, step: Tensor) => {
      const next = add(total, step);
      return [exclusive ? total : next, next];
    },
    zeros([sequence.shape[0], sequence.shape[2]], { dtype: x.dtype }),
    sequence,
    { reverse: fromEnd },
  );
  return transpose(sums, { permutation });
}

Deno.test("cumsum is a fold that adds, on every axis and both ways, eagerly and compiled", async () => {
  const wasm = createWasm({ threads: 1 });
  await fc.assert(
    fc.asyncProperty(kinds, async ({ shape, axis, exclusive, reverse, dtype, seed }) => {
      const size = shape[0] * shape[1] * shape[2];
      // Whole numbers, so that sums are exact.
      const values = Array.from({ length: size }, (_, i) => (i * 7919 + seed * 31) % 201 - 100);
      const x = tensor(values, { shape, dtype });
      const fn = (x: Tensor) => cumsum(x, { axis, exclusive, reverse });
      const wanted = toNested(folded(x, axis, exclusive, reverse));
      assertEquals(toNested(fn(x)), wanted);
      const { program } = trace(fn, x);
      using compiled = await wasm.compile(program, { donate: [false], keep: [false] });
      const [result] = await compiled.run([x as Parameters<typeof compiled.run>[0][number]]);
      assertEquals(toNested(result as Tensor), wanted);
    }),
    { numRuns: 200 },
  );
});

Deno.test("cumsum from the end is that of the reversed tensor, reversed", () => {
  const x = tensor([[3, 1, 4], [1, 5, 9]]);
  assertEquals(toNested(cumsum(x, { reverse: true })), toNested(reverse(cumsum(reverse(x, 1)), 1)));
  assertEquals(toNested(cumsum(x, { axis: -2 })), [[3, 1, 4], [4, 6, 13]]);
});

Deno.test("cumsum of sizes that are known when it runs", async () => {
  using fn = compile((x: Tensor) => cumsum(x, { axis: 0 }), { device: "wasm", specs: [spec([null, 2])] });
  assertEquals(toNested(await fn(tensor([[1, 2], [3, 4], [5, 6]]))), [[1, 2], [4, 6], [9, 12]]);
  assertEquals(toNested(await fn(tensor([[1, 2]]))), [[1, 2]]);
  assertEquals((await fn(zeros([0, 2]))).shape, [0, 2]);
});

Deno.test("cumsum in float64 is not rounded to float32, nor cut off at its largest number", () => {
  const x = tensor([1, 1e-12, 3e38, 3e38], { dtype: "float64" });
  assertEquals(toNested(cumsum(x)), [1, 1 + 1e-12, 3e38, 6e38]);
});

Deno.test("cumsum refuses what it cannot sum, and axes that are not there", () => {
  assertThrows(
    () => cumsum(tensor([true, false], { dtype: "bool" })),
    TypeError,
    'Cannot compute cumsum of bool[2]: it takes numbers; use cast(x, "float32")',
  );
  assertThrows(
    () => cumsum(zeros([2, 3]), { axis: 2 }),
    RangeError,
    "Cannot cumsum along axis 2: the tensor has 2 axes",
  );
  assertThrows(() => cumsum(tensor(1)), RangeError, "Cannot cumsum along axis -1: the tensor has 0 axes");
  const options = { exclusive: 1 } as unknown as { exclusive: boolean }; // as from JavaScript
  assertThrows(() => cumsum(zeros([2]), options), TypeError, "exclusive");
});
