import { assertEquals } from "@std/assert";
import { brainBits, brainValue, halfBits, halfValue } from "../../src/tensor/halves.ts";

const bitsOf = (value: number) => new Uint16Array(Float16Array.of(value).buffer)[0];

Deno.test("halfBits: every half float, and what lies around and between two of them", () => {
  const halves = Float16Array.from(
    new Float16Array(Uint16Array.from({ length: 0x7c00 }, (_, i) => i).buffer),
  );
  for (const [index, half] of halves.entries()) {
    const middle = (half + (halves[index + 1] ?? 65536)) / 2;
    const near = [half, middle, Math.fround(middle * (1 - 2 ** -20)), Math.fround(middle * (1 + 2 ** -20))];
    for (const value of near) {
      assertEquals(halfBits(value), bitsOf(value), `${value}`);
      assertEquals(halfBits(-value), bitsOf(-value), `${-value}`);
    }
  }
  for (const value of [Infinity, -Infinity, NaN, 1e-40, 1e38]) assertEquals(halfBits(value), bitsOf(value));
});

Deno.test("halfValue: every half float", () => {
  const values = new Float16Array(Uint16Array.from({ length: 65536 }, (_, bits) => bits).buffer);
  values.forEach((value, bits) => assertEquals(halfValue(bits), value));
});

Deno.test("brainValue: the float32 whose upper half it is, for every bfloat16", () => {
  const values = new Float32Array(Uint32Array.from({ length: 65536 }, (_, bits) => bits << 16).buffer);
  values.forEach((value, bits) => assertEquals(brainValue(bits), value));
});

Deno.test("brainBits: every bfloat16, and what lies around and between two of them", () => {
  for (let bits = 0; bits < 0x7f80; bits++) {
    const value = brainValue(bits), next = bits === 0x7f7f ? 2 ** 128 : brainValue(bits + 1);
    const middle = (value + next) / 2, even = bits % 2 === 0 ? bits : bits + 1;
    const [below, above] = [middle - (next - value) / 8, middle + (next - value) / 8];
    for (const [near, expected] of [[value, bits], [below, bits], [middle, even], [above, bits + 1]]) {
      assertEquals(brainBits(near), expected, `${near}`);
      assertEquals(brainBits(-near), expected + 0x8000, `${-near}`);
    }
  }
  assertEquals([brainBits(Infinity), brainBits(-Infinity), brainBits(NaN)], [0x7f80, 0xff80, 0x7fc0]);
});
