import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { host, hostTensor, item, spec, symbol, tensor, toNested, trace } from "../../mod.ts";
import { printSpec } from "../../src/internal.ts";

Deno.test("nested arrays come back from toNested", () => {
  const matrices = fc.tuple(fc.nat(3), fc.nat(3)).chain(([rows, columns]) =>
    fc.array(fc.array(fc.integer({ min: -99, max: 99 }), { minLength: columns, maxLength: columns }), {
      minLength: rows,
      maxLength: rows,
    })
  );
  fc.assert(fc.property(matrices, (values) => assertEquals(toNested(tensor(values)), values)));
});

Deno.test("shape and dtype follow from the values", () => {
  assertEquals(printSpec(tensor(1)), "float32[]");
  assertEquals(printSpec(tensor([[true], [false]])), "bool[2, 1]");
  assertEquals(printSpec(tensor([[], []])), "float32[2, 0]");
  assertEquals(printSpec(tensor(new Float64Array(3))), "float64[3]");
  assertEquals(printSpec(tensor(new Uint8Array(3))), "int32[3]");
  assertEquals(printSpec(tensor([1, 2, 3, 4], { shape: [2, 2], dtype: "int32" })), "int32[2, 2]");
  assertEquals(printSpec(tensor([], { shape: [2, 0] })), "float32[2, 0]");
});

Deno.test("the values are copied, and the shape", () => {
  const values = new Float32Array([1, 2]);
  const shape = [2];
  const x = tensor(values, { shape });
  values[0] = 9;
  shape[0] = 9;
  assertEquals([toNested(x), x.shape], [[1, 2], [2]]);
});

Deno.test("values of 64 bits are converted with range checks", () => {
  assertEquals(toNested(tensor(new BigInt64Array([3n, -4n]))), [3, -4]);
  assertThrows(
    () => tensor(new BigInt64Array([2n ** 40n])),
    RangeError,
    "expected whole numbers from -2147483648",
  );
  assertThrows(() => tensor([0.5], { dtype: "int32" }), RangeError, "current value is 0.5");
  assertThrows(() => tensor([NaN], { dtype: "int32" }), RangeError, "current value is NaN");
});

Deno.test("ragged nesting and a wrong number of values are refused", () => {
  for (const values of [[[1, 2], [3]], [1, [2]], [[1], 2], [[1], [[2]]]]) {
    assertThrows(() => tensor(values as number[][]), RangeError, "Cannot make a tensor"); // deliberately ragged
  }
  assertThrows(
    () => tensor([1, 2, 3], { shape: [2, 2] }),
    RangeError,
    "it has 4 elements, current value has 3",
  );
  assertThrows(() => tensor([], { shape: [-1] }), RangeError, "sizes are whole numbers from 0");
  assertThrows(() => hostTensor(new Float32Array(3), [2]), RangeError, "it has 2 elements");
  assertThrows(() => hostTensor(new Float32Array(2), [2], "int32"), TypeError, "it holds float32");
});

Deno.test("an unknown dtype is refused with the known ones", () => {
  assertThrows(
    () => tensor([1], { dtype: "float16" as "float32" }), // as from JavaScript
    TypeError,
    'dtype is "float16", expected float32, int32, bool or float64',
  );
});

Deno.test("a spec names its open sizes", () => {
  assertEquals(printSpec(spec([null, null, 28])), "float32[batch, time, 28]");
  assertEquals(printSpec(spec(["rows", symbol("batch")], "int32")), "int32[rows, batch]");
  assertThrows(() => spec([1, 2, null]), RangeError, "null at axis 2");
});

Deno.test("reading one value needs exactly one", () => {
  assertEquals(item(tensor([[7]])), 7);
  assertThrows(() => item(tensor([1, 2])), RangeError, "[2]");
});

Deno.test("the values of a traced tensor cannot be read, and the error says what to do", () => {
  trace((x) => {
    assertThrows(() => host(x), TypeError, "use operations such as select instead of branching on values");
    return x;
  }, spec([null]));
});

Deno.test("tensor refuses what its dtype cannot hold, and names padSequences for ragged rows", () => {
  for (const rows of [[[1, 2], [3]], [[1], [2, 3]], [[[1], [2]], [[3], [4, 5]]], [[], [1]], [[1, 2], 3]]) {
    assertThrows(() => tensor(rows as number[][]), RangeError, "ragged"); // as JavaScript would pass it
    assertThrows(() => tensor(rows as number[][]), RangeError, "padSequences");
  }
  assertThrows(() => tensor([300], { dtype: "int8" as "int32" }), TypeError, 'dtype is "int8"');
  assertThrows(() => tensor([2 ** 31], { dtype: "int32" }), RangeError, "2147483648");
  assertThrows(() => tensor(new Uint32Array([4e9])), RangeError, "4000000000");
  assertThrows(() => tensor(new BigUint64Array([2n ** 63n])), RangeError, "int32");
});

Deno.test("tensor reads whole numbers of 8 and 16 bits as they are, and half floats as float32", () => {
  assertEquals([...tensor(new Int8Array([-128, 127])).data], [-128, 127]);
  assertEquals([...tensor(new Uint8ClampedArray([0, 255])).data], [0, 255]);
  assertEquals([...tensor(new Uint16Array([65535])).data], [65535]);
  if (!("Float16Array" in globalThis)) return; // not every runtime knows it
  for (const values of [[0.5, 1.5], [1, 2]]) {
    const half = tensor(new Float16Array(values));
    assertEquals(half.dtype, "float32");
    assertEquals([...half.data], values);
  }
});

Deno.test("hostTensor refuses arrays that it would read wrong", () => {
  for (const data of [new Int8Array(2), new Uint8ClampedArray(2), new Uint16Array(2), new BigInt64Array(2)]) {
    assertThrows(() => hostTensor(data as unknown as Int32Array, [2]), TypeError, "tensor(values) converts");
  }
  assertThrows(() => hostTensor(new DataView(new ArrayBuffer(2)) as unknown as Int32Array, [2]), Error);
  assertThrows(() => hostTensor(new Uint8Array([0, 1, 200]), [3]), RangeError, "value 2 is 200");
  assertEquals(hostTensor(new Uint8Array([0, 1]), [2]).dtype, "bool");
});
