import { assert } from "@std/assert";
import { fuzz } from "../fuzz/keras.ts";
import { mayRead } from "./support.ts";

Deno.test("mutated files are read or refused with a KerasFileError", { ignore: !mayRead }, async () => {
  const seed = 20_250;
  const { read, refused } = await fuzz(1000, seed);
  assert(read > 0 && refused > 0, `seed ${seed}: ${read} read, ${refused} refused`);
});
