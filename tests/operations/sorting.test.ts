/** `sort` and `topK` against sorting in JavaScript, on every backend; their derivatives against differences. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  compile,
  type DType,
  grad,
  type HostTensor,
  mul,
  sort,
  spec,
  sum,
  type Tensor,
  tensor,
  toNested,
  topK,
  zeros,
} from "@cellfold/cellfold";
import { assertGradientAlong, float64, numbersFrom, randomLike, valuesOf } from "./finite_differences.ts";

const devices = ["reference", "wasm", "webgpu"] as const;

/** Numbers of which many are equal, with everything that is awkward among them. */
function awkward(count: number, seed: number, dtype: DType): number[] {
  const next = numbersFrom(seed);
  const special = dtype === "int32"
    ? [-(2 ** 31), 2 ** 31 - 1, 0]
    : [NaN, Infinity, -Infinity, -0, 0, -3.4028234663852886e38];
  return Array.from({ length: count }, () => {
    const drawn = next();
    return drawn > 0.7
      ? special[Math.floor((drawn - 0.7) / 0.3 * special.length)]
      : Math.round(drawn * 20) + 0; // of zeros only those above are negative
  });
}

/** The places in order, by a stable sort that puts NaN above all. */
function placesOf(values: readonly number[], descending: boolean): number[] {
  const above = (a: number, b: number) =>
    Number.isNaN(a) || Number.isNaN(b) ? +Number.isNaN(a) - +Number.isNaN(b) : +(a > b) - +(a < b);
  return values.map((_, place) => place).sort((i, j) =>
    descending ? above(values[j], values[i]) : above(values[i], values[j])
  );
}

for (const device of devices) {
  Deno.test({
    name: `sort is a stable sort with NaN above all, on ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      for (const dtype of ["float32", "int32"] as const) {
        for (const descending of [false, true]) {
          using sorted = compile((x: Tensor) => sort(x, { descending }), { device });
          for (const size of [0, 1, 2, 3, 8, 13, 100]) {
            const rows = [awkward(size, 1 + size, dtype), awkward(size, 1000 + size, dtype)];
            const { values, indices } = await sorted(tensor(rows.flat(), { shape: [2, size], dtype }));
            const wanted = rows.map((row) => placesOf(row, descending));
            assertEquals(toNested(indices), wanted, `${dtype} ${size} ${descending}`);
            const moved = rows.map((row, at) => wanted[at].map((place) => row[place]));
            assertEquals(Array.from((values as HostTensor).data), moved.flat());
          }
        }
      }
    },
  });

  Deno.test({
    name: `topK is the beginning of a descending sort, by rounds, in blocks or sorted, on ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      // Sizes on both sides of where blocks begin, and with a last block that is not full.
      for (const [size, ks] of [[5, [1, 4, 5]], [600, [1, 3, 7, 101, 600]], [1111, [10]]] as const) {
        for (const dtype of ["float32", "int32"] as const) {
          const rows = [awkward(size, 7, dtype), awkward(size, 8, dtype), new Array(size).fill(-Infinity)];
          if (dtype === "int32") rows[2].fill(-(2 ** 31));
          const x = tensor(rows.flat(), { shape: [3, size], dtype });
          for (const k of ks) {
            using largest = compile((x: Tensor) => topK(x, { k }), { device });
            const { values, indices } = await largest(x);
            const wanted = rows.map((row) => placesOf(row, true).slice(0, k));
            assertEquals(toNested(indices), wanted, `${dtype} ${k} of ${size}`);
            assertEquals(
              Array.from((values as HostTensor).data),
              wanted.flatMap((p, at) => p.map((i) => rows[at][i])),
            );
          }
        }
      }
    },
  });
}

Deno.test("sort and topK work along any axis, alone and beside open sizes", async () => {
  const x = tensor([[[3, 1], [2, 5]], [[0, 9], [4, 4]], [[7, 8], [6, 0]]]);
  assertEquals(toNested(sort(x, { axis: 0 }).values), [[[0, 1], [2, 0]], [[3, 8], [4, 4]], [[7, 9], [6, 5]]]);
  assertEquals(toNested(sort(x, { axis: 1 }).indices), [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 1], [
    0,
    0,
  ]]]);
  assertEquals(toNested(topK(x, { k: 2, axis: 0 }).indices), [[[2, 1], [2, 0]], [[0, 2], [1, 1]]]);
  assertEquals(toNested(topK(tensor([1, 3, 2]), { k: 1 }).values), [3]);
  using fn = compile((x: Tensor) => [sort(x), topK(x, { k: 2 })], {
    device: "wasm",
    specs: [spec([null, 3])],
  });
  for (const rows of [[[2, 3, 1]], [[1, 2, 3], [6, 4, 5]]]) {
    const [sorted, largest] = await fn(tensor(rows));
    assertEquals(toNested(sorted.indices), rows.map((row) => placesOf(row, false)));
    assertEquals(toNested(largest.indices), rows.map((row) => placesOf(row, true).slice(0, 2)));
  }
});

Deno.test("derivatives of sort and topK flow to the elements that were chosen", () => {
  const x = float64(valuesOf(randomLike(float64(new Array(1200).fill(0), [2, 600]), 3)), [2, 600]);
  const cases: [string, (x: Tensor) => Tensor][] = [
    ["sort", (x) => sort(x).values],
    ["sort, descending, along axis 0", (x) => sort(x, { axis: 0, descending: true }).values],
    ["topK", (x) => topK(x, { k: 5 }).values],
    ["topK along axis 0", (x) => topK(x, { k: 1, axis: 0 }).values],
  ];
  for (const [name, fn] of cases) {
    const weights = randomLike(fn(x), 4);
    const loss = (x: Tensor) => sum(mul(fn(x), mul(weights, fn(x))));
    const gradient = grad(loss)(x);
    const value = (x: Tensor) => valuesOf(loss(x))[0];
    // Neighbors in order are further apart than the steps of the differences.
    for (const seed of [5, 6]) {
      const direction = mul(randomLike(x, seed), tensor(1e-3, { dtype: "float64" }));
      assertGradientAlong(value, x, gradient, direction, 600, name);
    }
  }
  const gradient = toNested(grad((x: Tensor) => sum(topK(x, { k: 2 }).values))(tensor([2, 7, 7, 7])));
  assertEquals(gradient, [0, 1, 1, 0]); // of equal elements to the first ones
});

Deno.test("sort and topK refuse what they cannot order", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => topK(x, { k: 4 }),
    RangeError,
    "Cannot find the largest of 3 elements: k is 4, expected a whole number from 1 to 3",
  );
  assertThrows(() => topK(x, { k: 0 }), RangeError, "from 1 to 3");
  assertThrows(
    () => topK(x, { k: 1, axis: 2 }),
    RangeError,
    "Cannot topK along axis 2: the tensor has 2 axes",
  );
  assertThrows(() => sort(zeros([2], { dtype: "bool" })), TypeError, "Cannot compute sort of bool[2]");
  assertThrows(() => sort(x, { axis: -3 }), RangeError, "Cannot sort along axis -3");
  const options = { descending: 1 } as unknown as { descending: boolean }; // as from JavaScript
  assertThrows(() => sort(x, options), TypeError, "descending");
  const open = assertThrows(() => compile((x: Tensor) => sort(x)).program(spec([2, null])), RangeError);
  assert(open.message.startsWith("An axis to sort along needs a fixed size"), open.message);
});
