/** wasm compiles a Program once for all sizes. */
import { exampleCount } from "../../support/examples.ts";
import { checkSizes, sizedFunctions, sizesFor } from "../open_sizes.ts";
import { backends } from "./backends.ts";

for (const [name, fn] of Object.entries(sizedFunctions)) {
  Deno.test({
    name: `one executable on wasm is right for 20 random sizes, to the bit as fresh ones: ${name}`,
    // Workers outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      for (const backend of backends) {
        await checkSizes(backend, fn, sizesFor(name.length, exampleCount(20)), { sameBits: true });
      }
    },
  });
}
