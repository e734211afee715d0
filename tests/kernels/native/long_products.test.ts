/**
 * Products with many terms, which pack both operands a part at a time: every number of rows, columns and terms at both
 * sides of where tiles, panels, blocks and parts end, against sums of whole numbers, which are exact.
 */
import { assertEquals } from "@std/assert";
import { host, hostTensor, matmul, spec, sum, symbol, type Tensor, trace } from "../../../mod.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import { numbersFrom } from "../../operations/finite_differences.ts";
import { fewExamples } from "../../support/examples.ts";
import { backends, missing } from "./backends.ts";

/** The rows of left operands with the same right operand, and the columns of that one. */
const GROUPS: readonly { readonly rows: readonly number[]; readonly columns: number }[] = [
  { rows: [1], columns: 1 },
  { rows: [2, 3], columns: 64 },
  { rows: [6], columns: 16 },
  { rows: [4, 1, 2], columns: 71 },
  { rows: [12, 5], columns: 33 },
  { rows: [20, 9, 17], columns: 192 },
];

const TERMS = [1, 2, 63, 64, 65, 127, 255, 256, 257, 320, 511, 513, 2048, 2049, 2305, 4100];

/** What is computed from the left operands of a group and its right one: the products, and the sums of all rows. */
function gradients([right, ...lefts]: readonly Tensor[]): Tensor[] {
  return [...lefts.map((left) => matmul(left, right, { transposeLeft: true })), sum(right, { axes: 0 })];
}

for (const backend of fewExamples ? backends.slice(-1) : backends) {
  Deno.test({
    name: `matmul: products with many terms are exact for whole numbers on native with ${backend.name}`,
    ignore: missing !== undefined,
    // Threads outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      const terms = symbol("terms");
      const sizes = GROUPS.map(({ rows, columns }) => [columns, ...rows]);
      const specs = sizes.map((group) => group.map((size) => spec([terms, size], "float32")));
      const { program } = trace((...groups: Tensor[][]) => groups.map(gradients), ...specs);
      using compiled = await backend.compile(runPasses(program), {
        donate: program.inputs.map(() => false),
        keep: program.outputs.map(() => false),
      });
      for (const count of TERMS) {
        const draw = numbersFrom(count);
        const groups = sizes.map((group) =>
          group.map((size) => {
            const data = Float32Array.from({ length: count * size }, () => Math.round(4 * draw()));
            return hostTensor(data, [count, size]);
          })
        );
        const results = await compiled.run(groups.flat());
        const expected = groups.flatMap(([right, ...lefts]) => [
          ...lefts.map((left) => productOf(left.data, right.data, count)),
          productOf(new Float32Array(count).fill(1), right.data, count),
        ]);
        assertEquals(
          results.map((result) => [...host(result).data]),
          expected,
          `${count} terms, seed ${count}`,
        );
      }
    },
  });
}

/** Of a left operand `[terms, rows]` turned and a right one `[terms, columns]`. */
function productOf(left: ArrayLike<number>, right: ArrayLike<number>, terms: number): number[] {
  const rows = left.length / terms, columns = right.length / terms;
  const product = new Array<number>(rows * columns).fill(0);
  for (let term = 0; term < terms; term++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        product[row * columns + column] += left[term * rows + row] * right[term * columns + column];
      }
    }
  }
  return product;
}
