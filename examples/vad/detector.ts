/** A detector of voices in an ONNX file of Silero's form, sound cut into its frames, and a stream of frames. */
import * as cf from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { RATE } from "./sounds.ts";

/** New samples of a frame: 32 ms. */
export const HOP = 512;

/** A frame begins with so many samples of the one before. */
const CONTEXT = 64;

/** Samples of a frame. */
export const FRAME = CONTEXT + HOP;

/** What the file has; a step of the model takes a frame, `[batch, 576]`, and gives probabilities `[batch, 1]`. */
export interface Detector {
  readonly model: cf.Layer<cf.Tensor>;
  readonly variables: cf.Variables;
  /** Of its LSTM: the state is `[2, batch, units]`. */
  readonly units: number;
}

/** Reads a file with the inputs `input`, `state` and `sr`, and the outputs `output` and `stateN`. */
export function readDetector(bytes: Uint8Array): Detector {
  const { model, variables, inputs } = fromOnnx(bytes, {
    constants: { sr: RATE },
    states: { state: "stateN" },
    trainable: (name) => !name.includes("basis"), // sines and cosines, which are no weights
  });
  const units = inputs.find(({ name }) => name === "state")?.shape?.at(-1);
  if (typeof units !== "number") throw new TypeError("Cannot read a detector: its state has no size");
  return { model: model as cf.Layer<cf.Tensor>, variables, units }; // one input, as the others are bound
}

/** The frames of a sound, one after another; before it there was silence. */
export function framesOf(sound: Float32Array): Float32Array[] {
  const samples = new Float32Array(CONTEXT + sound.length);
  samples.set(sound, CONTEXT);
  return Array.from(
    { length: Math.floor(sound.length / HOP) },
    (_, i) => samples.subarray(i * HOP, i * HOP + FRAME),
  );
}

/** A stream of frames, one sound after another; it is the caller's to dispose of. */
export async function openDetector(
  model: cf.Layer<cf.Tensor>,
  variables: cf.Variables,
  device: cf.Device = "wasm",
): Promise<cf.Stream<cf.Tensor>> {
  const stream = cf.streaming(model, variables, { input: cf.spec([1, null, FRAME]), device });
  await stream.ready();
  return stream;
}

/** The probability of a voice in each frame of a sound, as they come. */
export async function listen(
  model: cf.Layer<cf.Tensor>,
  variables: cf.Variables,
  frames: readonly Float32Array[],
): Promise<Float32Array> {
  using stream = await openDetector(model, variables);
  const probability = new Float32Array(1);
  return Float32Array.from(frames, (frame) => {
    stream.step(frame, probability); // nothing to wait for
    return probability[0];
  });
}
