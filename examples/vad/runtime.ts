/** The same frames in onnxruntime-web, which has to be given the state with every frame. */

/** The part of `onnxruntime-web` that is used. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => OnnxTensor;
}

interface OnnxTensor {
  readonly data: Float32Array;
}

// A computed name, so that checking the examples downloads nothing.
const packageName = "npm:onnxruntime-web@1.30.0";

/** How a file takes a frame, and which output is the next state. */
export interface FileForm {
  /** The shape of a frame. */
  readonly frame: readonly number[];
  readonly state: { readonly input: string; readonly output: string; readonly shape: readonly number[] };
  /** The rate of the samples, where it is an input. */
  readonly sr?: number;
}

/** The probability of a voice in each frame, by onnxruntime-web on one thread. */
export async function listenWithRuntime(
  bytes: Uint8Array,
  frames: readonly Float32Array[],
  { frame: shape, state, sr }: FileForm,
): Promise<Float32Array> {
  const { env, InferenceSession, Tensor }: OnnxRuntime = await import(packageName);
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(bytes);
  const size = state.shape.reduce((size, dim) => size * dim, 1);
  const rate: Record<string, OnnxTensor> = sr === undefined
    ? {}
    : { sr: new Tensor("int64", BigInt64Array.of(BigInt(sr)), []) };
  let before = new Tensor("float32", new Float32Array(size), state.shape);
  const probabilities = new Float32Array(frames.length);
  for (const [index, frame] of frames.entries()) {
    const results = await session.run({
      input: new Tensor("float32", frame, shape),
      [state.input]: before,
      ...rate,
    });
    before = results[state.output];
    probabilities[index] = results.output.data[0];
  }
  await session.release();
  return probabilities;
}
