/** Trains a model of characters on any text, step by step. */
import * as cf from "@cellfold/cellfold";
import { alphabetOf, encode, plain } from "./alphabet.ts";
import { freshModel, type TextModel, writeAtOnce } from "./text.ts";

/** Characters that a text must have. */
export const SHORTEST = 200;

/** Options of `trainOn`. */
export interface TrainingOptions {
  readonly device: cf.Device;
  /** Units of the GRU; default 96. */
  readonly units?: number;
  /** Pieces of the text in a step, and their length; default 16 and 64. */
  readonly batch?: number;
  readonly length?: number;
  /** Default 600. */
  readonly steps?: number;
  /** The most of `learningRate`, from which it falls to 0; default 0.01. */
  readonly learningRate?: number;
  /** After how many steps there is a sample; default 50. */
  readonly sampleEvery?: number;
  readonly seed?: number;
}

/** What a step of training gave. */
export interface Trained {
  readonly step: number;
  /** Of this step's pieces: the mean of `-log p` over characters, in nats. */
  readonly loss: number;
  /** Characters of the text that were read, and what it took. */
  readonly characters: number;
  readonly milliseconds: number;
  /** The model so far and what it writes, with every sample. */
  readonly text?: TextModel;
  readonly sample?: string;
}

/** Pieces of a text from random places on, and as their targets the same one character later. */
function piecesOf(tokens: Int32Array, batch: number, length: number, key: cf.Tensor): cf.Data {
  const starts = cf.host(cf.uniform(key, [batch], { max: tokens.length - length })).data;
  const from = (shift: number) => {
    const pieces = Array.from(starts, (start) => Math.floor(start) + shift);
    const data = pieces.flatMap((start) => [...tokens.subarray(start, start + length)]);
    return cf.tensor(data, { shape: [batch, length], dtype: "int32" });
  };
  return { x: from(0), y: from(1) };
}

/**
 * Trains a fresh model on a text; ends after `steps`, or when the caller stops asking.
 *
 * @throws RangeError for a text that is too short.
 */
export async function* trainOn(given: string, options: TrainingOptions): AsyncGenerator<Trained> {
  const { device, units = 96, batch = 16, steps = 600, learningRate = 0.01, sampleEvery = 50, seed = 0 } =
    options;
  const alphabet = alphabetOf(plain(given));
  const tokens = encode(given, alphabet);
  if (tokens.length < SHORTEST) {
    throw new RangeError(
      `Cannot train on a text of ${tokens.length} characters: expected at least ${SHORTEST}; paste a longer one`,
    );
  }
  const length = Math.min(options.length ?? 64, tokens.length - 1);
  const [freshKey, pieceKey, dropoutKey] = cf.splitKey(cf.key(seed), 3);
  const { model, variables } = freshModel(alphabet, units, freshKey);
  const decay = cf.cosineDecay({ initialLearningRate: learningRate, decaySteps: steps });
  using trainer = cf.createTrainer(model, {
    device,
    loss: cf.sparseCategoricalCrossentropy({ fromLogits: true }),
    optimizer: cf.adam({ learningRate: decay, globalClipnorm: 1 }),
  });
  let state: cf.TrainingState = { variables };
  for (let step = 1; step <= steps; step++) {
    const began = performance.now();
    const trained = await trainer.trainOnBatch(
      state,
      piecesOf(tokens, batch, length, cf.foldIn(pieceKey, step)),
      {
        key: dropoutKey,
      },
    );
    state = trained;
    const { loss } = trained.logs;
    const progress = { step, loss, characters: batch * length, milliseconds: performance.now() - began };
    if (step % sampleEvery !== 0 && step !== steps) {
      yield progress;
      continue;
    }
    const text = { alphabet, model, variables: await cf.toHost(trained.variables) };
    const drawing = { temperature: 0.7, topK: alphabet.length, topP: 1, seed: step };
    const sample = await writeAtOnce(text, given.slice(0, 20), { ...drawing, steps: 120, device });
    yield { ...progress, text, sample };
  }
}
