/** onnxruntime-web, on wasm or with its WebGPU provider, as a subject of the benchmark. */
import { askedBackend, askedThreads, serve } from "../support/serve.ts";
import { type OnnxRuntime, onnxTrial } from "./onnxruntime.ts";
import { importPeer, versionsOf } from "./versions.ts";

const provider = askedBackend() ?? "wasm";
const runtime = await importPeer<OnnxRuntime>("onnxruntime-web", provider === "webgpu" ? "/webgpu" : "");
runtime.env.wasm.numThreads = askedThreads();

await serve({
  versions: versionsOf("onnxruntime-web"),
  prepare: (task) => onnxTrial(runtime, task, { executionProviders: [provider] }),
});
