/**
 * Trains the model of the demo "Handwriting" on writing that is made up, and writes what the demo ships:
 *
 *     deno run -A site/training/handwriting.ts
 *
 * The words are those of `public/data/botchan.txt`, the letters those of `public/data/script-letters.json`, written by hands
 * that differ in size, width, slant and steadiness: nobody's handwriting is in it. `--steps N` (default 3000) trains for
 * longer or shorter, `--batch N` (24) and `--length N` (120) say how many sequences a step has and how long they are,
 * `--rate N` (0.004) with which learning rate it begins. The file is written every 50 steps, so it may be stopped, and
 * `--continue` goes on from it; its metadata says how it was trained, the one that ships in three parts. The result depends
 * on nothing but all this and the device.
 */
import * as cf from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { freshWeights, model, objective, readModel } from "../demos/handwriting/handwriting.ts";
import { type PenStep, stepsOf } from "../demos/handwriting/ink.ts";
import { handFrom, type Letters, type Random, randomFrom, writeWords } from "../demos/handwriting/letters.ts";
import { inputOf, START } from "../demos/handwriting/pen.ts";

const PUBLIC = new URL("../public/", import.meta.url);

/** A number of the command line. */
function option(name: string, otherwise: number): number {
  const place = Deno.args.indexOf(`--${name}`);
  const value = place < 0 ? otherwise : Number(Deno.args[place + 1]);
  if (value > 0) return value;
  throw new RangeError(`Cannot train with --${name} ${Deno.args[place + 1]}: expected a number above 0`);
}

/** Samples of a step of training, and the steps of the pen in a sample. */
const [BATCH, LENGTH, STEPS] = [option("batch", 24), option("length", 120), option("steps", 3000)];
const RATE = option("rate", 0.004);
/** Letters that are mostly enough for a sample: a letter takes 17 steps, one of a small hand 12. */
const LETTERS = Math.ceil(LENGTH / 11);
/** After so many steps the loss is printed, and what there is is written. */
const EVERY = 50;

const letters: Letters = JSON.parse(await Deno.readTextFile(new URL("data/script-letters.json", PUBLIC)));
const text = await Deno.readTextFile(new URL("data/botchan.txt", PUBLIC));
const words = text.toLowerCase().match(/[a-z]+/g) ?? [];

/** Words from a random place in the text on, by a hand of their own: at least `LENGTH` steps of the pen, of which so many. */
function sample(random: Random): readonly PenStep[] {
  const start = Math.floor(random() * (words.length - LETTERS));
  const chosen: string[] = [];
  for (let i = start, count = 0; count < LETTERS; count += words[i++].length) chosen.push(words[i]);
  const steps = stepsOf(writeWords(letters, chosen, handFrom(random), random), [0, 0]);
  return steps.length < LENGTH ? sample(random) : steps.slice(0, LENGTH);
}

/** Samples side by side; the target of a step is the next one. */
function batchOf(samples: readonly (readonly PenStep[])[]): cf.Data {
  const x = inputOf(samples.map((steps) => [START, ...steps.slice(0, -1)]));
  const { location, pressure } = inputOf(samples);
  return { x, y: { location: cf.concat([...location]), pressure } };
}

const FILE = new URL("models/handwriting.safetensors", PUBLIC);
const before = Deno.args.includes("--continue") ? await Deno.readFile(FILE) : undefined;
const trainedBefore = before ? `${decodeSafetensors(before).metadata.trained}, then ` : "";
const learningRate = cf.cosineDecay({ initialLearningRate: RATE, decaySteps: STEPS });
using trainer = cf.createTrainer(model, {
  ...objective,
  optimizer: cf.adam({ learningRate, globalClipnorm: 1 }),
});
const random = randomFrom(trainedBefore.length + 1); // other samples than before
const heldOut = batchOf(Array.from({ length: 4 * BATCH }, () => sample(random)));
await Deno.mkdir(new URL("models/", PUBLIC), { recursive: true });
let state: cf.TrainingState = { variables: before ? readModel(before) : freshWeights(cf.key(0)) };
const began = performance.now();
let [sum, count] = [0, 0];
for (let step = 1; step <= STEPS; step++) {
  const batch = batchOf(Array.from({ length: BATCH }, () => sample(random)));
  const result = await trainer.trainOnBatch(state, batch);
  state = result;
  [sum, count] = [sum + result.logs.loss, count + 1];
  if (step % EVERY !== 0 && step !== STEPS) continue;
  const { loss, location_loss, pressure_loss } = await trainer.testOnBatch(state.variables, heldOut);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const parts = `location ${location_loss.toFixed(3)}, pressure ${pressure_loss.toFixed(4)}`;
  console.log(`${step} of ${STEPS} steps, ${seconds} s: loss ${(sum / count).toFixed(3)}, held out ${parts}`);
  [sum, count] = [0, 0];
  const trained = `${trainedBefore}${step} of ${STEPS} steps of ${BATCH} x ${LENGTH} from the rate ${RATE}`;
  const metadata = { trained, heldOut: loss.toFixed(3) };
  const file = encodeSafetensors(await cf.toHost(state.variables), { metadata, floats: "float16" });
  await Deno.writeFile(FILE, file);
}
