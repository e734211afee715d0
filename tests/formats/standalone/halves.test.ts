import { assertEquals } from "@std/assert";
import { halfBits } from "../../../kernels/native/standalone/weights.ts";

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
