import { assertEquals } from "@std/assert";
import { threefry2x32 } from "../../src/tensor/threefry.ts";

const hex = (words: readonly number[]) => words.map((word) => (word >>> 0).toString(16).padStart(8, "0"));

Deno.test("threefry2x32 gives the known answers of Random123 (kat_vectors, threefry2x32 20)", () => {
  assertEquals(hex(threefry2x32(0, 0, 0, 0)), ["6b200159", "99ba4efe"]);
  assertEquals(hex(threefry2x32(-1, -1, -1, -1)), ["1cb996fc", "bb002be7"]);
  assertEquals(hex(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)), ["c4923a9c", "483df7a0"]);
});

Deno.test("threefry2x32 takes signed and unsigned words alike and gives signed ones", () => {
  assertEquals(threefry2x32(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), threefry2x32(-1, -1, -1, -1));
  const words = threefry2x32(0, 0, 0, 0);
  assertEquals(words.map((word) => word | 0), words);
});
