/** What both builds of ONNX Runtime share: a session for the model, with inputs and outputs on the host. */
import { noise } from "../../examples/support/section.ts";
import { repeated, type Trial } from "../support/messages.ts";
import type { Task } from "../support/tasks.ts";
import { INPUT, onnxModel, OUTPUT } from "./onnx_model.ts";

/** The part of `onnxruntime-common` that is used. */
export interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: {
    create(model: Uint8Array, options: SessionOptions): Promise<Session>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => OnnxTensor;
}

interface SessionOptions {
  readonly executionProviders?: readonly string[];
  readonly intraOpNumThreads?: number;
  readonly interOpNumThreads?: number;
  readonly graphOptimizationLevel: "all";
}

interface Session {
  run(feeds: { readonly [name: string]: OnnxTensor }): Promise<{ readonly [name: string]: OnnxTensor }>;
  release(): Promise<void>;
}

interface OnnxTensor {
  readonly data: ArrayLike<number>;
}

/** A trial that predicts the same batch repeatedly. */
export async function onnxTrial(
  runtime: OnnxRuntime,
  task: Task,
  options: Omit<SessionOptions, "graphOptimizationLevel">,
): Promise<Trial> {
  if (task.kind !== "predict" || task.cell !== "lstm") throw new Error("ONNX Runtime predicts only");
  const session = await runtime.InferenceSession.create(onnxModel(task), {
    ...options,
    graphOptimizationLevel: "all",
  });
  const shape = [task.batch, task.time, task.features];
  const x = Float32Array.from(noise(shape).data);
  const step = async () => {
    const { [OUTPUT]: logits } = await session.run({ [INPUT]: new runtime.Tensor("float32", x, shape) });
    if (!Number.isFinite(logits.data[0])) throw new Error("The prediction is no number");
  };
  return await repeated(step, () => void session.release());
}
