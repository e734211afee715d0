/** native compiles a Program once for all sizes. */
import { exampleCount } from "../../support/examples.ts";
import { checkSizes, sizedFunctions, sizesFor } from "../open_sizes.ts";
import { backends, missing } from "./backends.ts";

for (const [name, fn] of Object.entries(sizedFunctions)) {
  Deno.test({
    name: `one executable on native is right for random sizes, to the bit as fresh ones: ${name}`,
    ignore: missing !== undefined,
    async fn() {
      for (const backend of backends) {
        await checkSizes(backend, fn, sizesFor(name.length, exampleCount(20)), { sameBits: true });
      }
    },
  });
}
