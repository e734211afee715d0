/** onnxruntime-web as a subject of the benchmark: the model that is measured, written as ONNX by this library. */
import { toOnnx } from "@cellfold/cellfold/onnx";
import { type Given, type Subject, type Trial } from "./workloads.ts";

/** Loads the library; `wasm` is the address of its WebAssembly. It predicts, and does not train. */
export async function onnxruntime(wasm: string): Promise<Subject> {
  const runtime = await import("onnxruntime-web/wasm");
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmPaths = { wasm };
  return {
    name: `onnxruntime-web ${runtime.env.versions.web}`,
    device: "WebAssembly",
    can: ({ kind }) => kind === "predict",
    async prepare({ model, variables, x }: Given): Promise<Trial> {
      const file = toOnnx(model, variables, { input: x, inputNames: ["x"], outputNames: ["probabilities"] });
      const session = await runtime.InferenceSession.create(file, {
        executionProviders: ["wasm"],
        graphOptimizationLevel: "all",
      });
      const data = Float32Array.from(x.data);
      const shape = x.shape.map(Number);
      const step = async () => {
        const { probabilities } = await session.run({ x: new runtime.Tensor("float32", data, shape) });
        return probabilities.data as Float32Array; // floats, as the input
      };
      return { check: step, step, [Symbol.dispose]: () => void session.release() };
    },
  };
}
