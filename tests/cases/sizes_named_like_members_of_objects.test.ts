/** Names of open sizes are names, whatever members objects have: none is taken to be bound already. */
import { add, compile, host, ones, spec, type Tensor } from "@cellfold/cellfold";
import { assertEquals } from "@std/assert";

for (const device of ["reference", "wasm"] as const) {
  Deno.test({
    name: `compile: sizes may be named constructor, toString or __proto__, on ${device}`,
    sanitizeResources: false, // a device outlives a test
    sanitizeOps: false,
    async fn() {
      for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
        using f = compile((x: Tensor) => add(x, 1), { device, specs: [spec([name, 2])] });
        for (const size of [3, 5]) {
          const result = host(await f(ones([size, 2])));
          assertEquals([result.shape, result.data[0]], [[size, 2], 2], name);
        }
      }
    },
  });
}
