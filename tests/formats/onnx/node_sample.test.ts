/** A sample of ONNX's node tests; `deno task onnx:tests` runs them all. */
import { assertEquals } from "@std/assert";
import { mayRead, readNeeds } from "./support/fixtures.ts";
import { sampleTests } from "./support/node_sample.ts";
import { runNodeTest } from "./support/node_tests.ts";

for (const device of [undefined, "wasm"] as const) {
  Deno.test({
    name: `fromOnnx: ONNX's node tests of the sample pass ${device ? `on ${device}` : "at once"}${readNeeds}`,
    ignore: !mayRead,
    sanitizeResources: false, // the threads of a device outlive a test
    sanitizeOps: false,
    fn: async () => {
      const outcomes: Record<string, string> = {};
      for (const test of await sampleTests()) {
        const { result, reason } = await runNodeTest(test, device);
        const isDouble = device && reason?.includes(`${device} has no float64`); // which no device has
        if (result !== "passed" && !isDouble) outcomes[test.name] = `${result}: ${reason}`;
      }
      assertEquals(outcomes, {});
    },
  });
}
