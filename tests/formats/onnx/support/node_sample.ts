/** The sample of ONNX's node tests in this repository, which ../python/node_cases.py wrote. */
import { gunzip } from "../../../../src/data/gzip.ts";
import type { NodeTest } from "./node_tests.ts";

/** The tests of the sample. */
export async function sampleTests(): Promise<NodeTest[]> {
  const bytes = await gunzip(await Deno.readFile(new URL("../fixtures/node_tests.json.gz", import.meta.url)));
  const tests = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, [string, string]>; // as the script wrote it
  return Object.entries(tests).map(([name, [model, data]]) => ({
    name,
    model: Uint8Array.fromBase64(model),
    data: Uint8Array.fromBase64(data),
  }));
}
