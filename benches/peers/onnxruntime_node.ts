/** onnxruntime-node as a subject of the benchmark. */
import { askedThreads, serve } from "../support/serve.ts";
import { type OnnxRuntime, onnxTrial } from "./onnxruntime.ts";
import { importPeer, versionsOf } from "./versions.ts";

const runtime = await importPeer<OnnxRuntime>("onnxruntime-node");
const threads = askedThreads();

await serve({
  versions: versionsOf("onnxruntime-node"),
  prepare: (task) => onnxTrial(runtime, task, { intraOpNumThreads: threads, interOpNumThreads: 1 }),
});
