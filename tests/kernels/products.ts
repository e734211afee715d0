/**
 * Tests the error of products with 65 to 2,048 terms, which are added one after another, in halves or in
 * blocks, against float64. Equal terms are the hardest, as a running sum rounds them all the same way.
 */
import { assert, assertEquals } from "@std/assert";
import { host, hostTensor, matmul, spec, symbol, trace } from "../../mod.ts";
import type { Backend, Executable } from "../../kernels/backend.ts";
import { runPasses } from "../../src/passes/mod.ts";
import type { Dim } from "../../src/tensor/dims.ts";
import { numbersFrom } from "../operations/finite_differences.ts";

/** At both sides of where halves and blocks begin. */
const LENGTHS = [65, 100, 128, 200, 256, 257, 300, 400, 511, 512, 513, 1000, 2047, 2048];

/** Rows and columns: one row and a few, with columns for several pieces, and enough rows for the blocks of a GPU. */
const RESULTS = [[1, 300], [7, 300], [70, 72]];

/** The most terms that are added one after another, and those of a block where there are several. */
const WHOLE = 256, BLOCK = 64;

/**
 * What rounding may add to a sum of so many equal terms, relative to the sum. An addition rounds by at most
 * 2^-24 of the power of two below its result, which over a whole sum is at most three quarters of the result,
 * and the results are half of the sum on average. A sum of sums rounds the same way again.
 */
function boundOfEqual(terms: number): number {
  const one = terms <= WHOLE ? terms : terms <= 2 * WHOLE ? Math.ceil(terms / 2) : BLOCK;
  return 0.75 * (one + Math.ceil(terms / one)) * 2 ** -25;
}

/** What is multiplied, by row or column and term, and how far the sum may be off, relative to its magnitudes. */
interface Terms {
  readonly name: string;
  readonly left: (draw: () => number) => number;
  /** Of a column: the number of each of its terms. */
  readonly right: (draw: () => number) => () => number;
  readonly bound: (terms: number) => number;
}

const TERMS: readonly Terms[] = [
  { name: "0.1 · 0.1", left: () => 0.1, right: () => () => 0.1, bound: () => 1e-6 },
  {
    name: "equal terms",
    left: () => 1,
    right: (draw) => {
      const value = Math.abs(draw()) + 0.01;
      return () => value;
    },
    bound: boundOfEqual,
  },
  {
    name: "numbers of one sign",
    left: (draw) => 0.5 + draw() / 4,
    right: (draw) => () => 0.5 + draw() / 4,
    bound: () => 1e-6,
  },
  { name: "numbers of both signs", left: (draw) => draw(), right: (draw) => draw, bound: () => 1e-6 },
];

/**
 * Tests of a backend.
 *
 * @param sizes Whether each product is compiled for its sizes, or one for all of them: for a backend whose compiler is slow
 *   and whose products are the same code either way.
 */
export function testProducts(name: string, backend: Backend, ignore: boolean, sizes: "fixed" | "open"): void {
  Deno.test({
    name: `matmul: on ${name} products of 65 to 2,048 terms are off by no more than 256 terms in a row`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      const products = LENGTHS.flatMap((terms) =>
        RESULTS.map(([rows, columns]) => ({ rows, columns, terms }))
      );
      if (sizes === "open") {
        const [rows, columns, terms] = ["rows", "columns", "terms"].map((name) => symbol(name));
        using compiled = await compileProduct(backend, { rows, columns, terms });
        for (const product of products) await testOne(compiled, product);
      } else {
        for (const product of products) {
          using compiled = await compileProduct(backend, product);
          await testOne(compiled, product);
        }
      }
    },
  });
}

/** The sizes of a product. */
interface Sizes<Size extends Dim> {
  readonly rows: Size;
  readonly columns: Size;
  readonly terms: Size;
}

function compileProduct(backend: Backend, { rows, columns, terms }: Sizes<Dim>): Promise<Executable> {
  const { program } = trace(matmul, spec([rows, terms], "float32"), spec([terms, columns], "float32"));
  return backend.compile(runPasses(program), { donate: [false, false], keep: [false] });
}

async function testOne(compiled: Executable, { rows, columns, terms }: Sizes<number>): Promise<void> {
  for (const { name, left, right, bound } of TERMS) {
    const draw = numbersFrom(terms + rows);
    const a = Float32Array.from({ length: rows * terms }, () => left(draw));
    const termsOf = Array.from({ length: columns }, () => right(draw));
    const b = Float32Array.from({ length: terms * columns }, (_, at) => termsOf[at % columns]());
    const [result] = await compiled.run([hostTensor(a, [rows, terms]), hostTensor(b, [terms, columns])]);
    assertEquals(result.shape, [rows, columns]);
    host(result).data.forEach((got, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      let sum = 0, magnitude = 0;
      for (let term = 0; term < terms; term++) {
        const product = a[row * terms + term] * b[term * columns + column];
        sum += product;
        magnitude += Math.abs(product);
      }
      const error = Math.abs(Number(got) - sum) / magnitude;
      assert(
        error <= bound(terms),
        `${terms} terms, ${name}, row ${row} of ${rows}, column ${column}: ${got}, not ${sum}; the error is ${error}`,
      );
    });
  }
}
