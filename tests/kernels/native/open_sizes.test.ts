/** native compiles a Program once for all sizes. */
import { assertAlmostEquals } from "@std/assert";
import { compile, cumsum, exp, host, ones, spec, sum, type Tensor } from "@cellfold/cellfold";
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

Deno.test({
  name: "sizes on native may have names that C, its headers or the file itself use",
  ignore: missing !== undefined,
  async fn() {
    const named = spec(["NULL", "int64_t", "LANES", "v_load", "_Static_assert", "add_exactly"]);
    using fn = compile((x: Tensor) => cumsum(exp(sum(x, { axes: [1, 3, 5] })), { axis: 2 }), {
      device: "native",
      specs: [named],
    });
    const x = ones([2, 1, 3, 2, 2, 1]);
    assertAlmostEquals(host(await fn(x)).data[1], 2 * Math.exp(2), 1e-5);
  },
});
