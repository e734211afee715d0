import { assert } from "@std/assert";
import { fuzz } from "../fuzz/onnx.ts";

Deno.test("mutated ONNX files are read or refused with an OnnxError", () => {
  const seed = 20_260;
  const { read, refused } = fuzz(2000, seed);
  assert(read > 200 && refused > 200, `seed ${seed}: ${read} read, ${refused} refused`);
});
