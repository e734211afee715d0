/**
 * Voice activity: Silero's published detector is read, listens frame by frame, learns a sound of the user, is exported.
 *
 *     deno run --no-lock --allow-read --allow-env examples/vad/main.ts
 *
 * Takes about 15 seconds on two cores, after a first download of 150 MB, and prints how far it is from onnxruntime-web,
 * as published and after it has learned, in a speech of 11 seconds and in sounds that are made up. The detector hears a
 * voice in a toy that quacks. It is trained on with 768 frames until it hears little of one there, and still does in a
 * voice. With `--picture FILE` (and --allow-write=FILE) it draws what it hears before and after; `--small` takes 5
 * seconds, with fewer of them.
 */
import * as cf from "@cellfold/cellfold";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { type ProgramOptions, programOptions, writePicture } from "../support/program.ts";
import { claim } from "../support/section.ts";
import { FRAME, framesOf, listen, readDetector } from "./detector.ts";
import { publishedDetector, publishedSpeech } from "./published.ts";
import { makeRecordings, soundOf } from "./recordings.ts";
import { type FileForm, listenWithRuntime } from "./runtime.ts";
import { RATE, type Sound, SOUNDS } from "./sounds.ts";

/** Frames of a recording: about a second. */
const FRAMES = 32;

/** The mean probability of a voice in each sound. */
export type Heard = Readonly<Record<Sound, number>>;

/** The means of the frames of each sound. */
function heardIn(probabilities: Float32Array): Heard {
  const [voice, toy, room] = SOUNDS.map((_, i) => {
    const these = probabilities.subarray(i * FRAMES, (i + 1) * FRAMES);
    return these.reduce((sum, value) => sum + value, 0) / these.length;
  });
  return { voice, toy, room };
}

const percent = (value: number) => `${(100 * value).toFixed(0)} %`;

/** How it is run: with another file of the same form, and another speech, where they are given. */
export interface VadOptions extends ProgramOptions {
  readonly published?: { readonly file: Uint8Array; readonly speech: Float32Array };
}

/** What the program gives. */
export interface Learned {
  /** The probability of a voice in each frame of the speech, as published. */
  readonly speech: Float32Array;
  readonly before: Heard;
  readonly after: Heard;
  /** The loss of each epoch. */
  readonly losses: readonly number[];
}

/** Runs the program. */
export async function main(options: VadOptions = {}): Promise<Learned> {
  const { small = false, log = console.log } = options;
  const { file, speech } = options.published ??
    { file: await publishedDetector(), speech: await publishedSpeech() };
  const { model, variables, units } = readDetector(file);
  const frames = framesOf(soundOf(SOUNDS, FRAMES, 1)), said = framesOf(speech); // which no training sees
  const compare = (what: string, ours: Float32Array, theirs: Float32Array) => {
    const largest = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i]))); // NaN where there is one
    claim(log, largest <= 1e-5, `${what}: onnxruntime-web differs by ${largest.toExponential(1)}`);
  };
  const show = (when: string, { voice, toy, room }: Heard) =>
    log(
      `${when}: a voice in ${percent(voice)} of a voice, ${percent(toy)} of a toy, ${
        percent(room)
      } of silence`,
    );

  const first = await listen(model, variables, frames), heard = await listen(model, variables, said);
  const published: FileForm = {
    frame: [1, FRAME],
    state: { input: "state", output: "stateN", shape: [2, 1, units] },
    sr: RATE,
  };
  compare("as published", first, await listenWithRuntime(file, frames, published));
  compare("in a speech", heard, await listenWithRuntime(file, said, published));
  const voiced = heard.filter((value) => value > 0.5).length / heard.length;
  log(`in a speech: a voice in ${percent(voiced)} of the frames`);
  const before = heardIn(first);
  show("as published", before);

  const trained = await cf.fit(model, variables, makeRecordings(small ? 12 : 24, small ? 8 : FRAMES), {
    loss: "binaryCrossentropy",
    optimizer: cf.adam({ learningRate: 1e-3 }),
    batchSize: 6,
    epochs: small ? 3 : 15,
    report: options.log ? "none" : "auto",
  });
  const { loss: losses } = trained.history;
  const [begun, ended] = [losses[0], losses[losses.length - 1]];
  claim(log, ended < begun, `trained on, its loss falls from ${begun.toFixed(3)} to ${ended.toFixed(3)}`);
  const second = await listen(model, trained.variables, frames);
  const after = heardIn(second);
  show("trained on", after);

  const exported = toOnnx(model, trained.variables, { input: cf.spec([null, null, FRAME]), states: true });
  const exportedTheirs = await listenWithRuntime(exported, frames, {
    frame: [1, 1, FRAME],
    state: { input: "onnx.initial_state", output: "onnx.final_state", shape: [1, 2, units] },
  });
  compare(`exported as ${exported.length} bytes`, second, exportedTheirs);

  await writePicture(
    options,
    ({ plotCurves }) =>
      plotCurves([{ name: "as published", values: first }, { name: "trained on", values: second }], {
        title: "A second each of a voice, of a toy that quacks, of a quiet room",
        xLabel: "frames of 32 ms",
        yLabel: "probability of a voice",
      }),
  );
  return { speech: heard, before, after, losses };
}

if (import.meta.main) await main(programOptions(Deno.args));
