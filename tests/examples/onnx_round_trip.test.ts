import { assert } from "@std/assert";
import { main } from "../../examples/onnx_round_trip.ts";

const missing = (["read", "env"] as const).some((name) =>
  Deno.permissions.querySync({ name }).state !== "granted"
);

Deno.test({
  name: `a model through ONNX and back${missing ? " (needs --allow-read --allow-env)" : ""}`,
  ignore: missing,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const lines: string[] = [];
    await main((line) => void lines.push(line)); // throws where a claim does not hold
    assert(lines.filter((line) => line.includes("✓")).length === 3, lines.join("\n"));
  },
});
