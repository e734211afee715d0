/**
 * The wasm products against plain loops in float64. A tolerance is the bound of a float32 sum of k + 2 terms: each
 * rounding is at most half of 2⁻²³, relative to the sum of the terms' magnitudes.
 */
import { exampleCount } from "../../support/examples.ts";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { hasRelaxedSimd, i32, ModuleBuilder } from "../../../kernels/wasm/assembler.ts";
import { KernelCode } from "../../../kernels/wasm/emit/code.ts";
import { Slots } from "../../../kernels/cpu/slots.ts";
import {
  addMatmul,
  longProductScratch,
  packedBytes,
  writeLongProduct,
} from "../../../kernels/wasm/matmul/mod.ts";
import type { TileFeatures } from "../../../kernels/wasm/matmul/tile.ts";

type Emitted = (...params: number[]) => void;

interface Machine {
  readonly memory: Uint8Array;
  readonly pack: Emitted;
  readonly product: Emitted;
  /** A function `(a, b, c, columns, terms, scratch)` for Aᵀ·B with these rows of the product and strides in elements. */
  readonly long: (sizes: LongSizes) => Emitted;
}

interface LongSizes {
  /** Rows of the products, of which two lefts have a part each. */
  readonly rows: readonly [number, number];
  readonly strideA: number;
  readonly strideB: number;
  readonly strideC: number;
  readonly most: { readonly terms: number; readonly columns: number };
}

const PAGES = 512;

function build(features: TileFeatures): Machine {
  const module = new ModuleBuilder({ minimum: PAGES, maximum: PAGES, shared: false });
  const { pack, product } = addMatmul(module, features);
  module.export(pack, "pack");
  module.export(product, "product");
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  // An export is typed as a value of any kind; these are functions of i32.
  const emitted = (name: string) => exports[name] as Emitted;
  return {
    memory: new Uint8Array(memory.buffer),
    pack: emitted("pack"),
    product: emitted("product"),
    long: (sizes) => buildLong(features, memory, sizes),
  };
}

function buildLong(
  features: TileFeatures,
  memory: WebAssembly.Memory,
  { rows, strideA, strideB, strideC, most }: LongSizes,
): Emitted {
  const module = new ModuleBuilder({ minimum: PAGES, maximum: PAGES, shared: false });
  const functions = addMatmul(module, features);
  const long = KernelCode.add(module, new Slots(0, 0), "long", Array(6).fill(i32));
  const [a, b, c, columns, terms, scratch] = long.params.keys();
  const second = { a: long.local(i32), c: long.local(i32) };
  long.get(a).i32(4 * rows[0]).op("i32.add").set(second.a);
  long.get(c).bytes(rows[0] * strideC).op("i32.add").set(second.c);
  writeLongProduct(long, functions, {
    lefts: [a, second.a].map((address, i) => ({ rows: rows[i], source: { address, stride: strideA } })),
    results: [c, second.c].map((address, i) => ({ rows: rows[i], address, stride: strideC })),
    right: { address: b, stride: strideB },
    columns,
    terms,
    most,
    scratch,
  });
  module.export(long);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  return exports.long as Emitted; // as above
}

const plain: TileFeatures = { relaxed: false, wide: false };
const relaxed: TileFeatures = { relaxed: true, wide: false };
/** Wide tiles compute the same where an engine does not pair vectors, only more slowly. */
const kinds = [plain, ...(hasRelaxedSimd() ? [relaxed, { relaxed: true, wide: true }] : [])];
const machines = kinds.map(build);

/** Random numbers in [-1, 1) from a seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** Gives out addresses, odd ones too, with guards between. */
function allocator(): (bytes: number) => number {
  let next = 64;
  return (bytes) => {
    const address = next;
    next += bytes + 67;
    assert(next <= PAGES << 16, "The test needs more memory");
    return address;
  };
}

interface Strided {
  readonly address: number;
  readonly strides: readonly [number, number];
  readonly bytes: number;
}

/** Places a matrix with one contiguous dimension (or none, for a gap above 0 in both) and some bytes in between. */
function place(
  allocate: (bytes: number) => number,
  [rows, columns]: readonly [number, number],
  layout: Layout,
  gap: number,
): Strided {
  const inner = layout === "scattered" ? 8 : 4;
  const outer = inner * (layout === "columns" ? rows : columns) + 4 * gap;
  const bytes = outer * (layout === "columns" ? columns : rows);
  return {
    address: allocate(bytes),
    strides: layout === "columns" ? [inner, outer] : [outer, inner],
    bytes,
  };
}

type Layout = "rows" | "columns" | "scattered";

interface Case {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly accumulate: boolean;
  readonly transposed: boolean;
  readonly left: Layout;
  readonly right: Layout;
  readonly gaps: readonly [number, number, number];
  readonly rowSplit: number;
  readonly columnSplit: number;
  readonly seed: number;
}

const layout = fc.constantFrom<Layout>("rows", "columns", "scattered");
const fraction = fc.double({ min: 0, max: 1, noNaN: true });

function cases(
  m: fc.Arbitrary<number>,
  k: fc.Arbitrary<number>,
  n: fc.Arbitrary<number>,
): fc.Arbitrary<Case> {
  const gap = fc.nat(3);
  return fc.record({
    m,
    k,
    n,
    accumulate: fc.boolean(),
    transposed: fc.boolean(),
    left: layout,
    right: layout,
    gaps: fc.tuple(gap, gap, gap),
    rowSplit: fraction,
    columnSplit: fraction,
    seed: fc.integer(),
  });
}

/**
 * Computes one case in a machine: whole, and in four parts; checks values, guards and equality of the bits. Returns
 * the operands and the result.
 */
function check({ memory, pack, product, long }: Machine, example: Case): Uint8Array {
  const { m, k, n, transposed, gaps } = example;
  const accumulate = example.accumulate && !transposed;
  const view = new DataView(memory.buffer);
  const random = randomNumbers(example.seed);
  const allocate = allocator();
  const a = transposed
    ? place(allocate, [m, k], "columns", gaps[0])
    : place(allocate, [m, k], example.left, gaps[0]);
  const b = place(allocate, [k, n], transposed ? "rows" : example.right, gaps[1]);
  const c = place(allocate, [m, n], "rows", gaps[2]);
  const scratchBytes = transposed ? longProductScratch(m, n, k) : packedBytes(k, n);
  const packed = allocate(scratchBytes);
  const end = allocate(0);
  memory.fill(0xa5, 0, end);
  const fill = ({ address, bytes }: Strided) => {
    for (let at = 0; at < bytes; at += 4) view.setFloat32(address + at, random(), true);
  };
  for (const matrix of [a, b, c]) fill(matrix);
  const before = memory.slice(0, end);
  const read = (bytes: DataView, { address, strides }: Strided, row: number, column: number) =>
    bytes.getFloat32(address + row * strides[0] + column * strides[1], true);

  const run = (firstRow: number, rows: number, firstColumn: number, columns: number) => {
    const from = a.address + firstRow * a.strides[0];
    const source = b.address + firstColumn * b.strides[1];
    const target = c.address + firstRow * c.strides[0] + firstColumn * 4;
    if (transposed) {
      const first = Math.round(example.columnSplit * rows);
      const strides = {
        strideA: a.strides[1] / 4,
        strideB: b.strides[0] / 4,
        strideC: c.strides[0] / 4,
        most: { terms: k, columns },
      };
      long({ rows: [first, rows - first], ...strides })(from, source, target, columns, k, packed);
    } else {
      const panels = packed + (firstColumn / 8) * k * 32;
      const addend = accumulate ? [target, c.strides[0]] : [0, 0];
      product(from, ...a.strides, panels, target, c.strides[0], rows, columns, k, ...addend, 0);
    }
  };
  if (!transposed) pack(b.address, packed, k, n, ...b.strides);
  run(0, m, 0, n);
  const whole = memory.slice(0, end);
  const given = new DataView(before.buffer), got = new DataView(whole.buffer);

  const expected = before.slice();
  expected.set(whole.subarray(packed, packed + scratchBytes), packed);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = accumulate ? read(given, c, i, j) : 0;
      let magnitude = Math.abs(sum);
      for (let p = 0; p < k; p++) {
        const term = read(given, a, i, p) * read(given, b, p, j);
        sum += term;
        magnitude += Math.abs(term);
      }
      const actual = read(got, c, i, j);
      const tolerance = (k + 2) * 2 ** -24 * magnitude;
      assert(Math.abs(actual - sum) <= tolerance, `C[${i}][${j}] is ${actual}, expected ${sum}`);
      const at = c.address + i * c.strides[0] + j * c.strides[1];
      expected.set(whole.subarray(at, at + 4), at);
    }
  }
  assertSameBytes(whole, expected, "Something outside C and the scratch was written");

  memory.set(before.subarray(0, packed));
  const rowSplit = Math.round(example.rowSplit * m);
  const columnSplit = Math.min(n, 8 * Math.round(example.columnSplit * n / 8));
  for (const [firstRow, rows] of [[0, rowSplit], [rowSplit, m - rowSplit]]) {
    // A split that is not a multiple of 8 is at n itself, with no columns after it.
    const parts = columnSplit === n ? [[0, n]] : [[0, columnSplit], [columnSplit, n - columnSplit]];
    for (const [firstColumn, columns] of parts) run(firstRow, rows, firstColumn, columns);
  }
  assertSameBytes(memory.subarray(0, packed), whole.subarray(0, packed), "The parts differ from the whole");
  return whole.subarray(0, packed);
}

function assertSameBytes(actual: Uint8Array, expected: Uint8Array, message: string): void {
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assertEquals(at, -1, `${message}: first at byte ${at}`);
}

function checkAll(arbitrary: fc.Arbitrary<Case>, numRuns: number): void {
  fc.assert(
    fc.property(arbitrary, (example) => {
      const [, narrow, wide] = machines.map((machine) => check(machine, example));
      if (wide) assertSameBytes(wide, narrow, "Wide tiles differ from others");
    }),
    { numRuns: exampleCount(numRuns) },
  );
}

Deno.test("products of small matrices of any shape and layout", () => {
  checkAll(cases(fc.nat(40), fc.nat(40), fc.nat(40)), 400);
});

Deno.test("products of few rows and many columns", () => {
  checkAll(cases(fc.integer({ min: 1, max: 7 }), fc.nat(70), fc.nat(300)), 100);
});

Deno.test("products with long sums", () => {
  const small = fc.integer({ min: 1, max: 30 });
  checkAll(cases(small, fc.integer({ min: 250, max: 1500 }), small), 30);
});

Deno.test("products of large matrices", () => {
  const side = (min: number, max: number) => fc.integer({ min, max });
  checkAll(cases(side(50, 100), side(200, 300), side(250, 350)), 4);
});

Deno.test("a column of ones sums the rows of the right operand", () => {
  for (const features of kinds) {
    for (const [k, n] of [[1, 3], [255, 8], [256, 17], [1001, 300]]) {
      const module = new ModuleBuilder({ minimum: PAGES, maximum: PAGES, shared: false });
      const functions = addMatmul(module, features);
      const long = KernelCode.add(module, new Slots(0, 0), "long", Array(6).fill(i32));
      const [a, b, c, columns, terms, scratch] = long.params.keys();
      writeLongProduct(long, functions, {
        lefts: [{ rows: 1, source: { address: a, stride: 1 } }, { rows: 1 }],
        results: [{ rows: 2, address: c, stride: n }],
        right: { address: b, stride: n },
        columns,
        terms,
        most: { terms: k, columns: n },
        scratch,
      });
      module.export(long);
      const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
        env: { memory },
      });
      const values = new Float32Array(memory.buffer);
      const random = randomNumbers(k);
      for (let index = 0; index < k + k * n; index++) values[index] = Math.round(random() * 64);
      (exports.long as Emitted)(0, 4 * k, 4 * (k + k * n), n, k, 4 * (k + k * n + 2 * n)); // a function of i32
      // Whole numbers so small that their sums are exact.
      for (let j = 0; j < n; j++) {
        let [product, sum] = [0, 0];
        for (let p = 0; p < k; p++) {
          product += values[p] * values[k + p * n + j];
          sum += values[k + p * n + j];
        }
        const result = values.subarray(k + k * n);
        assertEquals([result[j], result[n + j]], [product, sum], `column ${j} of ${k} x ${n}`);
      }
    }
  }
});
