import { convolve, outputSpecs, spec, tensor, toNested, zeros } from "@cellfold/cellfold";
import { assertEquals, assertThrows } from "@std/assert";

const line = (values: number[]) => tensor(values, { shape: [1, values.length, 1] });
const window = (values: number[]) => tensor(values, { shape: [values.length, 1, 1] });
const flat = (x: Parameters<typeof toNested>[0]) => (toNested(x) as number[][][]).flat(2);

Deno.test("convolve slides a window over one axis", () => {
  const x = line([1, 2, 3, 4, 5]);
  assertEquals(flat(convolve(x, window([1, 10]))), [21, 32, 43, 54]);
  assertEquals(flat(convolve(x, window([1, 10]), { strides: [2] })), [21, 43]);
  assertEquals(flat(convolve(x, window([1, 10]), { dilation: [3] })), [41, 52]);
});

Deno.test("padding `same` puts the one zero more after, and counts the strides", () => {
  const x = line([1, 2, 3, 4, 5]);
  assertEquals(flat(convolve(x, window([1, 10]), { padding: "same" })), [21, 32, 43, 54, 5]);
  assertEquals(flat(convolve(x, window([1, 10, 100]), { padding: "same" })), [210, 321, 432, 543, 54]);
  assertEquals(flat(convolve(x, window([1, 10, 100]), { padding: "same", strides: [2] })), [210, 432, 54]);
  const even = line([1, 2, 3, 4]);
  assertEquals(flat(convolve(even, window([1, 10, 100]), { padding: "same", strides: [2] })), [321, 43]);
  assertEquals(flat(convolve(even, window([1]), { padding: "same", strides: [3] })), [1, 4]);
});

Deno.test("convolve adds up channels over two axes", () => {
  const x = tensor(Array.from({ length: 18 }, (_, i) => i), { shape: [1, 3, 3, 2] });
  const kernel = tensor(Array.from({ length: 16 }, (_, i) => i % 2), { shape: [2, 2, 2, 2] });
  // The second output channel adds up the window and both channels, the first nothing.
  assertEquals(toNested(convolve(x, kernel)), [[[[0, 36], [0, 52]], [[0, 84], [0, 100]]]]);
});

Deno.test("convolve takes open sizes", () => {
  const sizes = (options: object) =>
    String(
      outputSpecs(
        (x: ReturnType<typeof zeros>) => convolve(x, zeros([3, 2, 4]), options),
        spec([null, "width", 2]),
      ).shape,
    );
  assertEquals(sizes({}), "batch,width-2,4");
  assertEquals(sizes({ padding: "same" }), "batch,width,4");
  assertEquals(sizes({ strides: [2] }), "batch,floor((width+1)/2)-1,4");
  assertEquals(sizes({ strides: [2], padding: "same" }), "batch,floor((width+1)/2),4");
  assertEquals(sizes({ strides: [2], padding: { low: [0], high: [2] } }), "batch,floor((width+1)/2),4");
  assertThrows(
    () => sizes({ strides: [4], padding: "same" }),
    RangeError,
    "along an axis of size width, which must be fixed",
  );
});

Deno.test("convolve refuses what does not fit", () => {
  assertThrows(() => convolve(zeros([1, 4, 2]), zeros([3, 1, 1])), TypeError, "[...window, in, out]");
  assertThrows(() => convolve(zeros([1, 2, 1]), zeros([3, 1, 1])), RangeError, "the window is larger");
});
