/** The sample of ONNX's node tests in this repository, which ../python/node_cases.py wrote. */
import { fixtureText } from "./fixtures.ts";
import type { NodeTest } from "./node_tests.ts";

/** The tests of the sample. */
export async function sampleTests(): Promise<NodeTest[]> {
  const tests = JSON.parse(await fixtureText("node_tests.json.gz")) as Record<string, [string, string]>; // as the script wrote it
  return Object.entries(tests).map(([name, [model, data]]) => ({
    name,
    model: Uint8Array.fromBase64(model),
    data: Uint8Array.fromBase64(data),
  }));
}
