/** The same frames in onnxruntime-web, which has to be given the state with every frame. */

import { loadOnnxRuntime, type OnnxRuntime, type OnnxTensor, openSession } from "../support/onnx_runtime.ts";

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
  runtime: OnnxRuntime,
  bytes: Uint8Array,
  { frame: shape, state, sr }: FileForm,
): Promise<{ step(frame: Float32Array): Promise<number>; release(): Promise<void> }> {
  const { Tensor } = runtime;
  const session = await openSession(runtime, bytes);
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
  const { step, release } = await frameStep(await loadOnnxRuntime(), bytes, form);
  const probabilities = new Float32Array(frames.length);
  for (const [index, frame] of frames.entries()) probabilities[index] = await step(frame);
  await release();
  return probabilities;
}
