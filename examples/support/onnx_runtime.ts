/** onnxruntime-web, which runs ONNX files beside the library; it comes through Deno's package registry. */

/** The part of `onnxruntime-web` that is used. */
export interface OnnxRuntime {
  readonly env: { readonly wasm?: { numThreads?: number } };
  readonly InferenceSession: {
    create(model: Uint8Array, options?: OnnxSessionOptions): Promise<OnnxSession>;
  };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => OnnxTensor;
}

export interface OnnxSessionOptions {
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: number;
  /** 3 for errors alone. */
  readonly logSeverityLevel: number;
}

/** A model that is ready to run. */
export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<Record<string, OnnxTensor>>;
  release(): Promise<void>;
}

export interface OnnxTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

// A computed name, so that checking the examples downloads nothing.
const packageName = "npm:onnxruntime-web@1.30.0";

/** onnxruntime-web, which is downloaded once. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  return await import(packageName);
}

/** A session on one thread, which says nothing but errors. */
export async function openSession(
  { env, InferenceSession }: OnnxRuntime,
  bytes: Uint8Array,
): Promise<OnnxSession> {
  if (env.wasm) env.wasm.numThreads = 1;
  return await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
}
