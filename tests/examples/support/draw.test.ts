import { assertEquals, assertThrows } from "@std/assert";
import { drawDigit } from "../../../examples/support/draw.ts";
import { tensor } from "../../../src/tensor/tensor.ts";

Deno.test("drawDigit puts two pixels into a character: half blocks at edges, else shades", () => {
  const image = tensor([
    [0, 1, 1, 0],
    [0, 1, 0, 1],
    [0, 0.25, 0.5, 0.75],
    [0, 0.25, 0.5, 0.75],
  ]);
  assertEquals(drawDigit(image), " █▀▄\n ░▒▓");
});

Deno.test("drawDigit takes a flat square and a last axis of 1", () => {
  assertEquals(drawDigit(new Float32Array([1, 1, 1, 1])), "██");
  assertEquals(drawDigit(tensor([[[1], [0]], [[0], [1]]])), "▀▄");
});

Deno.test("drawDigit scales to a number of columns", () => {
  const image = new Float32Array(28 * 28).fill(1);
  assertEquals(drawDigit(image).split("\n").map((line) => line.length), Array(14).fill(28));
  assertEquals(drawDigit(image, { columns: 10 }), Array(5).fill("█".repeat(10)).join("\n"));
  assertEquals(drawDigit(image, { columns: 56 }).split("\n").length, 28);
});

Deno.test("drawDigit leaves what is not a number blank, and clips what is not a shade", () => {
  assertEquals(drawDigit(tensor([[NaN, 5], [NaN, 5]])), " █");
});

Deno.test("drawDigit refuses what is no image", () => {
  assertThrows(() => drawDigit(new Float32Array(5)), TypeError, "5 pixels");
  assertThrows(() => drawDigit(new Float32Array(0)), TypeError, "0 pixels");
  assertThrows(() => drawDigit(tensor([1, 2])), TypeError, "of shape [2]");
  assertThrows(() => drawDigit(tensor([[1]]), { columns: 0 }), RangeError, "columns is 0");
});
