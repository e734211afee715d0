/** The same frames in onnxruntime-web, which has to be given the state with every frame. */

/** The part of `onnxruntime-web` that is used. */
export interface OnnxRuntime {
  readonly env: { readonly wasm?: { numThreads?: number } };
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options?: { readonly intraOpNumThreads: number; readonly interOpNumThreads: number },
    ): Promise<{
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

/** A session on one thread; a step gives the probability of a voice in a frame, and keeps the state. */
export async function frameStep(
  { env, InferenceSession, Tensor }: OnnxRuntime,
  bytes: Uint8Array,
  { frame: shape, state, sr }: FileForm,
): Promise<{ step(frame: Float32Array): Promise<number>; release(): Promise<void> }> {
  if (env.wasm) env.wasm.numThreads = 1;
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const size = state.shape.reduce((size, dim) => size * dim, 1);
  const rate: Record<string, OnnxTensor> = sr === undefined
    ? {}
    : { sr: new Tensor("int64", BigInt64Array.of(BigInt(sr)), []) };
  let before = new Tensor("float32", new Float32Array(size), state.shape);
  return {
    async step(frame) {
      const input = new Tensor("float32", frame, shape);
      const { output, [state.output]: after } = await session.run({ input, [state.input]: before, ...rate });
      before = after;
      return output.data[0];
    },
    release: () => session.release(),
  };
}

/** The probability of a voice in each frame, by onnxruntime-web on one thread. */
export async function listenWithRuntime(
  bytes: Uint8Array,
  frames: readonly Float32Array[],
  form: FileForm,
): Promise<Float32Array> {
  const { step, release } = await frameStep(await import(packageName), bytes, form);
  const probabilities = new Float32Array(frames.length);
  for (const [index, frame] of frames.entries()) probabilities[index] = await step(frame);
  await release();
  return probabilities;
}
