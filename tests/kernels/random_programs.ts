/**
 * That buffers which share memory never live at the same time: random Programs with many intermediate values, of
 * which some are read late, as traced and optimized.
 */
import { exampleCount } from "../support/examples.ts";
import fc from "fast-check";
import {
  add,
  at,
  broadcastTo,
  concat,
  div,
  full,
  type HostTensor,
  matmul,
  max,
  mean,
  mul,
  neg,
  reverse,
  scan,
  sigmoid,
  sqrt,
  stack,
  sub,
  sum,
  tanh,
  type Tensor,
  transpose,
} from "../../mod.ts";
import { sliceAxis, specOf } from "../../src/internal.ts";
import { mapTree } from "../../src/tree/tree.ts";
import { float64, numbersFrom } from "../operations/finite_differences.ts";
import type { Backend } from "../../kernels/backend.ts";
import { assertRight, narrow } from "./rounding.ts";

/** Operations on values of one shape `[rows, columns]`, bounded, so that long Programs stay calm. */
const operations = {
  add: (a, b) => mul(add(a, b), tanh(a)),
  sub: (a, b) => sub(tanh(a), b),
  mul: (a, b) => tanh(mul(a, b)),
  tanh,
  sigmoid,
  neg,
  product: (a, _, matrix) => tanh(matmul(a, matrix)),
  productTransposed: (a, _, matrix) => tanh(matmul(a, matrix, { transposeRight: true })),
  biased: (a, b, matrix) => tanh(add(matmul(a, matrix), b)),
  biasedByRow: (a, b, matrix) => tanh(add(broadcastTo(at(b, 0), a.shape), matmul(a, matrix))),
  residual: (a, _, matrix) => tanh(add(a, matmul(a, matrix))),
  sumOfProducts: (a, b, matrix) => tanh(add(matmul(a, matrix), matmul(b, matrix))),
  pieces: (a, b, matrix) => {
    const columns = Number(a.shape[1]);
    const both = matmul(a, concat([matrix, matrix], { axis: 1 }));
    const [first, second] = [0, columns].map((from) => sliceAxis(both, 1, from, columns));
    return mul(tanh(add(first, b)), tanh(add(a, second)));
  },
  piecesAddedUp: (a, _, matrix) => {
    const columns = Number(a.shape[1]);
    const both = matmul(a, concat([matrix, matrix], { axis: 1 }));
    return tanh(add(sliceAxis(both, 1, 0, columns), sliceAxis(both, 1, columns, columns)));
  },
  onePiece: (a, b, matrix) => {
    const columns = Number(a.shape[1]);
    return tanh(add(sliceAxis(matmul(a, concat([matrix, matrix], { axis: 1 })), 1, 0, columns), b));
  },
  constants: (a) =>
    tanh(add(a, div(full(a.shape, 1, { dtype: a.dtype }), sqrt(full(a.shape, 4, { dtype: a.dtype }))))),
  overlappingPieces: (a, b, matrix) => {
    const columns = Number(a.shape[1]);
    const both = matmul(a, concat([matrix, matrix], { axis: 1 }));
    const [first, second] = [0, columns >> 1].map((from) => sliceAxis(both, 1, from, columns));
    return mul(tanh(add(first, b)), tanh(add(a, second)));
  },
  gram: (a, b) => tanh(matmul(b, mul(matmul(a, b, { transposeLeft: true }), 0.1))),
  sumOfRows: (a) => tanh(broadcastTo(sum(a, { axes: 0, keepDims: true }), a.shape)),
  meanOfColumns: (a) => broadcastTo(mean(a, { axes: 1, keepDims: true }), a.shape),
  largest: (a) => broadcastTo(max(a, { axes: 1, keepDims: true }), a.shape),
  turned: (a) => transpose(tanh(transpose(a))),
  reversed: (a) => reverse(a, [0, 1]),
  rotated: (a) => concat([sliceAxis(a, 0, 1, Number(a.shape[0]) - 1), sliceAxis(a, 0, 0, 1)], { axis: 0 }),
  folded: (a, b, matrix) =>
    scan(
      (h: Tensor, x: Tensor) => {
        const next = tanh(add(matmul(h, matrix), x));
        return [next, sub(next, h)];
      },
      a,
      stack([a, b, neg(a)], { axis: 1 }),
    )[1],
  foldedWithCarry: (a, b, matrix) =>
    scan(
      (h: Tensor, x: Tensor) => {
        const next = tanh(add(matmul(h, matrix), h));
        return [add(matmul(next, matrix), x), next];
      },
      a,
      stack([a, b, neg(a)], { axis: 1 }),
    )[1],
  foldedSumAsAddend: (a, _, matrix) => {
    const [outputs] = scan(
      (h: Tensor, x: Tensor) => {
        const total = tanh(sum(h, { axes: 0 }));
        return [[total, tanh(add(add(matmul(h, matrix), broadcastTo(total, h.shape)), x))], tanh(add(h, x))];
      },
      a,
      stack([a, neg(a)], { axis: 1 }),
    );
    const [totals, rest] = outputs;
    return add(at(rest, -1, { axis: 1 }), broadcastTo(at(totals, -1, { axis: 1 }), a.shape));
  },
  lastOfFolded: (a, b) =>
    at(scan((h: Tensor, x: Tensor) => [add(h, x), tanh(x)], a, stack([b, a], { axis: 1 }))[0], -1, {
      axis: 1,
    }),
} satisfies Record<string, (a: Tensor, b: Tensor, matrix: Tensor) => Tensor>;
type Name = keyof typeof operations;
const names = Object.keys(operations) as Name[]; // the keys of a literal

const anyProgram = fc.record({
  steps: fc.array(fc.record({ name: fc.constantFrom(...names), a: fc.nat(40), b: fc.nat(40) }), {
    minLength: 4,
    maxLength: 24,
  }),
  read: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }),
  rows: fc.constantFrom(2, 3, 5, 8),
  columns: fc.constantFrom(1, 4, 7, 16),
  // Where an element of the first operand is NaN, of either sign: as an index, in some of the Programs.
  nan: fc.option(fc.nat(127), { freq: 3 }),
  seed: fc.integer(),
});

/** Makes an element NaN, for odd indices with a sign bit. */
function placeNaN({ data }: HostTensor, index: number): void {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  bits[index % data.length] = index % 2 === 0 ? 0x7fc00000 : 0xffc00001;
}

/** The test that random Programs are right on these backends, which the name of the test begins with. */
export function testRandomPrograms(
  name: string,
  backends: readonly Backend[],
  { ignore = false, runs = exampleCount(200) }: { readonly ignore?: boolean; readonly runs?: number } = {},
): void {
  Deno.test({
    name: `on ${name}, random Programs with many intermediate values are right`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () =>
      fc.assert(
        fc.asyncProperty(fc.constantFrom(...backends), anyProgram, async (backend, program) => {
          const { steps, read, rows, columns, seed, nan } = program;
          const next = numbersFrom(seed);
          const random = (shape: number[]) =>
            float64(Array.from({ length: shape.reduce((a, b) => a * b) }, next), shape);
          const inputs = narrow([
            random([rows, columns]),
            random([rows, columns]),
            random([columns, columns]),
          ]);
          if (nan !== null) placeNaN(inputs[0] as HostTensor, nan); // made just above
          const compute = (first: Tensor, second: Tensor, matrix: Tensor): Tensor[] => {
            const values = [first, second];
            for (const { name, a, b } of steps) {
              // Mostly of late values, so that Programs are deep, and now and then of an early one.
              const operand = (index: number) => values[Math.max(0, values.length - 1 - index % 5)];
              const apply: (a: Tensor, b: Tensor, matrix: Tensor) => Tensor = operations[name];
              values.push(apply(operand(a), a % 3 === 0 ? values[b % values.length] : operand(b), matrix));
            }
            return [...read.map((index) => values[index % values.length]), values[values.length - 1]];
          };
          const args = [inputs[0], inputs[1], inputs[2]] as [Tensor, Tensor, Tensor]; // made just above
          await assertRight(backend, compute, mapTree(args, specOf), [args], { unoptimized: true });
        }),
        { numRuns: runs },
      ),
  });
}
