import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  at,
  broadcastTo,
  concat,
  expandDims,
  full,
  gather,
  iota,
  matmul,
  oneHot,
  ones,
  pad,
  reshape,
  reverse,
  scatterAdd,
  slice,
  spec,
  split,
  squeeze,
  stack,
  symbol,
  type Tensor,
  tensor,
  toNested,
  trace,
  transpose,
  zeros,
  zerosLike,
} from "../../mod.ts";
import { printSpec, sliceAxis, subtractDims } from "../../src/internal.ts";

/** 0, 1, 2… of a shape. */
const count = (shape: readonly number[]) =>
  tensor(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i), { shape });
const shapes = fc.array(fc.nat(3), { minLength: 1, maxLength: 4 });
const ints = (values: number[]) => tensor(values, { dtype: "int32" });
const traced = (fn: (x: Tensor) => Tensor, ...shape: (number | null)[]) =>
  printSpec(trace(fn, spec(shape)).program.outputs[0]);

Deno.test("a permutation and its inverse, and two reversals, change nothing", () => {
  const permuted = shapes.chain((shape) =>
    fc.tuple(
      fc.constant(shape),
      fc.shuffledSubarray(shape.map((_, axis) => axis), { minLength: shape.length }),
    )
  );
  fc.assert(fc.property(permuted, ([shape, order]) => {
    const x = count(shape);
    const y = transpose(x, { permutation: order });
    assertEquals(y.shape, order.map((axis) => shape[axis]));
    assertEquals(transpose(y, { permutation: order.map((_, axis) => order.indexOf(axis)) }), x);
    assertEquals(reverse(reverse(x, order), order), x);
  }));
});

Deno.test("split and concat undo each other along every axis", () => {
  fc.assert(fc.property(shapes, fc.integer({ min: 1, max: 3 }), fc.nat(3), (shape, parts, pick) => {
    const axis = pick % shape.length;
    const x = count(shape.map((size, i) => i === axis ? size * parts : size));
    const pieces = split(x, parts, { axis });
    assertEquals(pieces.map((piece) => piece.shape), new Array(parts).fill(shape));
    assertEquals(concat(pieces, { axis }), x);
  }));
});

Deno.test("slicing undoes padding, also between elements", () => {
  const amounts = fc.array(fc.nat(2), { minLength: 4, maxLength: 4 });
  fc.assert(fc.property(shapes, amounts, amounts, amounts, (shape, low, high, interior) => {
    const x = count(shape);
    const [l, h, i] = [low, high, interior].map((list) => list.slice(0, shape.length));
    const padded = pad(x, { low: l, high: h, interior: i });
    assertEquals(padded.shape, shape.map((n, axis) => l[axis] + n + Math.max(0, n - 1) * i[axis] + h[axis]));
    assertEquals(slice(padded, { start: l, size: shape, stride: i.map((n) => n + 1) }), x);
  }));
});

Deno.test("slice, sliceAxis and at count from either end", () => {
  const x = count([3, 4]);
  assertEquals(toNested(slice(x, { start: [1, 0], size: [2, 2], stride: [1, 3] })), [[4, 7], [8, 11]]);
  assertEquals(toNested(sliceAxis(x, -1, -2, 2)), [[2, 3], [6, 7], [10, 11]]);
  assertEquals(toNested(at(x, -1)), [8, 9, 10, 11]);
  assertEquals(toNested(at(at(x, 2, { axis: 1 }), 1)), 6);
});

Deno.test("stack, expandDims and squeeze make and take axes of size 1", () => {
  const x = count([2]);
  assertEquals(toNested(stack([x, x])), [[0, 1], [0, 1]]);
  assertEquals(toNested(stack([x, x], { axis: -1 })), [[0, 0], [1, 1]]);
  assertEquals(expandDims(x, -1).shape, [2, 1]);
  assertEquals(squeeze(expandDims(expandDims(x, 0), -1), { axes: [0, -1] }), x);
  assertThrows(
    () => squeeze(x, { axes: 0 }),
    TypeError,
    "Cannot squeeze axis 0 of float32[2]: its size is not 1",
  );
});

Deno.test("one size of a reshape is worked out, where there is just one answer", () => {
  assertEquals(reshape(count([4, 3]), [2, -1]).shape, [2, 6]);
  assertEquals(reshape(zeros([0, 3]), [-1, 3]).shape, [0, 3]);
  assertThrows(() => reshape(count([4, 3]), [5, -1]), TypeError, "the size for -1 does not come out");
  assertThrows(() => reshape(zeros([0, 3]), [-1, 0]), TypeError, "the size for -1 does not come out");
  assertThrows(() => reshape(count([4]), [-1, -1]), TypeError, "the size for -1 does not come out");
  assertThrows(() => reshape(count([4]), [3]), TypeError, "it has 4 elements, the new shape 3");
});

Deno.test("symbolic sizes go through structure", () => {
  assertEquals(traced((x) => reshape(x, [-1, 3]), null, null, 3), "float32[batch*time, 3]");
  assertEquals(
    traced((x) => reshape(reshape(x, [-1]), [symbol("batch"), -1, 3]), null, null, 3),
    "float32[batch, time, 3]",
  );
  assertEquals(traced((x) => concat([x, x, x], { axis: 1 }), null, null), "float32[batch, 3*time]");
  assertEquals(
    traced((x) => pad(x, { low: [0, 1], high: [0, 0], interior: [0, 1] }), null, null),
    "float32[batch, 2*time]",
  );
  assertEquals(traced((x) => split(x, 2, { axis: 1 })[1], 2, 6), "float32[2, 3]");
  const time = symbol("time");
  assertEquals(
    traced((x) => sliceAxis(x, 1, 1, subtractDims(time, 1)), null, null),
    "float32[batch, time-1]",
  );
  assertThrows(() => traced((x) => sliceAxis(x, 1, 1, time), null, null), RangeError, "reach outside axis 1");
  assertThrows(() => traced((x) => reshape(x, [symbol("rows"), -1]), null, null, 3), TypeError);
});

Deno.test("what reaches outside is refused with the shape and the axis", () => {
  const x = count([2, 3]);
  assertThrows(
    () => slice(x, { start: [0, 1], size: [2, 3] }),
    RangeError,
    "3 elements from 1 with stride 1 reach outside axis 1",
  );
  assertThrows(() => at(x, 2), RangeError, "reach outside axis 0");
  assertThrows(() => at(x, 0, { axis: 2 }), RangeError, "Cannot index along axis 2: the tensor has 2 axes");
  assertThrows(() => slice(x, { start: [0], size: [1] }), TypeError, "need 2 entries each");
  assertThrows(() => pad(x, { low: [-1, 0], high: [0, 0] }), RangeError, "use slice to cut");
  assertThrows(() => split(x, 2), RangeError, "3 is no multiple");
  assertThrows(() => concat([x, count([3, 3])]), TypeError, "other sizes differ");
  assertThrows(() => concat([x, ints([1])]), TypeError, "the dtypes differ");
  assertThrows(() => concat([]), RangeError, "no tensors");
  assertThrows(() => transpose(x, { permutation: [0, 0] }), RangeError, "expected every axis once");
  assertThrows(() => reverse(x, [0, -2]), RangeError, "one is given twice");
  assertThrows(() => broadcastTo(x, [3]), TypeError, "it has more axes");
  assertThrows(() => broadcastTo(x, [2, 4]), TypeError, "3 does not fit 4 at axis 1");
});

Deno.test("gather takes rows, clamping; scatterAdd sums them; oneHot marks them", () => {
  const x = count([3, 2]);
  assertEquals(toNested(gather(x, ints([2, 0, 2, -1, 9]))), [[4, 5], [0, 1], [4, 5], [0, 1], [4, 5]]);
  assertEquals(toNested(scatterAdd(ints([1, 1, 0]), x, { rows: 3 })), [[4, 5], [2, 4], [0, 0]]);
  assertEquals(toNested(oneHot(ints([1, 3, -1]), 3)), [[0, 1, 0], [0, 0, 0], [0, 0, 0]]);
  assertEquals(gather(x, zeros([0, 4], { dtype: "int32" })).shape, [0, 4, 2]);
  assertThrows(() => gather(x, count([1])), TypeError, 'expected int32; use cast(x, "int32")');
  assertThrows(() => gather(zeros([0, 2]), ints([0])), RangeError, "1 index and a tensor of no rows");
});

Deno.test("iota counts along one axis, in any dtype of numbers", () => {
  assertEquals(toNested(iota([2, 3])), [[0, 1, 2], [0, 1, 2]]);
  assertEquals(toNested(iota([2, 3], { axis: 0, dtype: "float32" })), [[0, 0, 0], [1, 1, 1]]);
  assertThrows(() => iota([2], { dtype: "bool" }), TypeError, "Cannot count in bool");
});

Deno.test("full, ones and zerosLike have the shape and dtype asked for", () => {
  assertEquals(full([2], 7, { dtype: "int32" }), ints([7, 7]));
  assertEquals(toNested(ones([1, 2])), [[1, 1]]);
  assertEquals(zerosLike(ints([5])), ints([0]));
});

Deno.test("a matrix product over nothing is zeros, whatever the rank", () => {
  assertEquals(matmul(zeros([2, 0]), zeros([0, 3])), zeros([2, 3]));
  assertEquals(matmul(zeros([2, 3, 0]), zeros([0, 4])), zeros([2, 3, 4]));
  assertEquals(matmul(zeros([0, 3, 2]), zeros([2, 4])), zeros([0, 3, 4]));
});

Deno.test("matrices that do not fit are refused with both shapes", () => {
  assertThrows(
    () => matmul(zeros([2, 3]), zeros([2, 3])),
    TypeError,
    "float32[2, 3] and float32[2, 3]: the inner sizes 3 and 2 differ",
  );
  assertThrows(() => matmul(zeros([2, 2, 3]), zeros([3, 3, 4])), TypeError, "the leading sizes differ");
  assertThrows(
    () => matmul(zeros([4, 2, 3]), zeros([2, 3]), { transposeLeft: true }),
    TypeError,
    "ranks must be equal",
  );
  assertThrows(() => matmul(zeros([3]), zeros([3])), TypeError, "too few axes");
  assertEquals(matmul(zeros([3]), zeros([3, 2])).shape, [2]);
});
