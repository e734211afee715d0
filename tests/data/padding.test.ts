import { assertEquals, assertThrows } from "@std/assert";
import { padSequences } from "../../src/data/padding.ts";
import { toNested } from "../../src/tensor/tensor.ts";

const RAGGED = [[1, 2, 3], [], [4]];

Deno.test("padSequences pads before by default", () => {
  const { values, mask, lengths } = padSequences(RAGGED);
  assertEquals(toNested(values), [[1, 2, 3], [0, 0, 0], [0, 0, 4]]);
  assertEquals(toNested(mask), [[1, 1, 1], [0, 0, 0], [0, 0, 1]]);
  assertEquals(toNested(lengths), [3, 0, 1]);
  assertEquals([values.dtype, mask.dtype, lengths.dtype], ["int32", "bool", "int32"]);
});

Deno.test("padSequences pads after, with a value", () => {
  const { values, mask } = padSequences(RAGGED, { padding: "post", value: -1 });
  assertEquals(toNested(values), [[1, 2, 3], [-1, -1, -1], [4, -1, -1]]);
  assertEquals(toNested(mask), [[1, 1, 1], [0, 0, 0], [1, 0, 0]]);
});

Deno.test("padSequences truncates at either side, whichever side it pads", () => {
  for (const padding of ["pre", "post"] as const) {
    const pre = padSequences(RAGGED, { length: 2, padding, truncating: "pre" });
    const post = padSequences(RAGGED, { length: 2, padding, truncating: "post" });
    const short = padding === "pre" ? [0, 4] : [4, 0];
    assertEquals(toNested(pre.values), [[2, 3], [0, 0], short]);
    assertEquals(toNested(post.values), [[1, 2], [0, 0], short]);
    assertEquals(toNested(post.lengths), [2, 0, 1]);
  }
});

Deno.test("padSequences reaches a length beyond the longest, or none", () => {
  assertEquals(toNested(padSequences([[1]], { length: 3 }).values), [[0, 0, 1]]);
  assertEquals(padSequences(RAGGED, { length: 0 }).values.shape, [3, 0]);
});

Deno.test("padSequences pads feature vectors", () => {
  const { values, mask } = padSequences([[[0.5, 1], [2, 3]], [], [[4, 5]]], {
    padding: "post",
    dtype: "float32",
  });
  assertEquals(values.shape, [3, 2, 2]);
  assertEquals(toNested(values), [[[0.5, 1], [2, 3]], [[0, 0], [0, 0]], [[4, 5], [0, 0]]]);
  assertEquals(toNested(mask), [[1, 1], [0, 0], [1, 0]]);
});

Deno.test("padSequences takes typed arrays and booleans", () => {
  const typed = padSequences([new Float64Array([0.25]), [1, 2]], { dtype: "float64" });
  assertEquals(toNested(typed.values), [[0, 0.25], [1, 2]]);
  assertEquals(toNested(padSequences([[true, false], [true]]).values), [[1, 0], [0, 1]]);
  assertEquals(toNested(padSequences([[2, 0]], { dtype: "bool" }).values), [[1, 0]]);
});

Deno.test("padSequences of nothing is empty", () => {
  assertEquals(padSequences([]).values.shape, [0, 0]);
  assertEquals(padSequences([[], []]).mask.shape, [2, 0]);
});

Deno.test("padSequences names the step that does not fit", () => {
  assertThrows(
    () => padSequences([[[1, 2]], [[1, 2], [3]]]),
    TypeError,
    "sequences[1][1] is an array of shape [1]",
  );
  assertThrows(
    () => padSequences([[1], [[1]]]),
    TypeError,
    "sequences[1][0] is an array of shape [1], expected a number",
  );
  assertThrows(
    () => padSequences([[[1]], [1]]),
    TypeError,
    "sequences[1][0] is the number 1, expected numbers nested",
  );
  assertThrows(() => padSequences([[[[1, 2], [3]]]]), TypeError, "uneven nesting");
  // As from JSON that nobody checked.
  assertThrows(() => padSequences([JSON.parse("[1, null]")]), TypeError, "sequences[0][1] is null");
  assertThrows(
    () => padSequences(JSON.parse("[1]")),
    TypeError,
    "sequences[0] is the number 1, expected an array",
  );
  assertThrows(() => padSequences(JSON.parse('["text"]')), TypeError, 'sequences[0] is the text "text"');
});

Deno.test("padSequences checks a step even where truncation drops it", () => {
  assertThrows(() => padSequences([[[1], [2, 3]]], { length: 1, truncating: "post" }), TypeError);
});

Deno.test("padSequences names a value or option out of range", () => {
  assertThrows(() => padSequences([[1, 0.5]]), RangeError, "sequences[0][1] holds 0.5");
  assertThrows(() => padSequences([[2 ** 31]]), RangeError, 'pass dtype: "float32"');
  assertThrows(() => padSequences([[1]], { value: NaN }), RangeError, "value holds NaN");
  assertThrows(() => padSequences([[1]], { length: -1 }), RangeError, "length is -1");
  assertThrows(() => padSequences([[1]], { length: 1.5 }), RangeError, "length is 1.5");
  assertThrows(() => padSequences([[1]], { padding: JSON.parse('"left"') }), RangeError, 'padding is "left"');
});
