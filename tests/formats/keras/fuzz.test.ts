import { fuzzEach } from "../fuzz/target.ts";
import { mayRead } from "./support.ts";

Deno.test("mutated files are read or refused with a KerasFileError", { ignore: !mayRead }, async () => {
  const { keras } = await import("../fuzz/keras.ts"); // reads fixtures
  await fuzzEach(keras, 110);
});
