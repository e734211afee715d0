import { tfjs } from "../fuzz/tfjs.ts";
import { fuzzEach } from "../fuzz/target.ts";

Deno.test("mutated models of TensorFlow.js are read or refused with a KerasFileError", () =>
  fuzzEach(tfjs, 150));
