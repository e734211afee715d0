/** onnxruntime-web, its wasm build, as a subject of the benchmark. */
import { askedThreads, serve } from "../support/serve.ts";
import { type OnnxRuntime, onnxTrial } from "./onnxruntime.ts";
import { importPeer, versionsOf } from "./versions.ts";

const runtime = await importPeer<OnnxRuntime>("onnxruntime-web");
runtime.env.wasm.numThreads = askedThreads();

await serve({
  versions: versionsOf("onnxruntime-web"),
  prepare: (task) => onnxTrial(runtime, task, { executionProviders: ["wasm"] }),
});
