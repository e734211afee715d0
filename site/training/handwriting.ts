/**
 * Trains the model of the demo "Handwriting" on writing that is made up, and writes what the demo ships:
 *
 *     deno run -A site/training/handwriting.ts
 *
 * The words are those of `public/data/botchan.txt`, the letters those of `public/data/script-letters.json`, written by hands
 * that differ in size, width, slant and steadiness: nobody's handwriting is in it. `--steps N` (default 1500) trains for
 * longer or shorter. Ten minutes of two cores. The result depends on nothing but these files and the device.
 */
import * as cf from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { freshWeights, model, objective } from "../demos/handwriting/handwriting.ts";
import { type PenStep, stepsOf } from "../demos/handwriting/ink.ts";
import { handFrom, type Letters, type Random, randomFrom, writeWords } from "../demos/handwriting/letters.ts";
import { inputOf, START } from "../demos/handwriting/pen.ts";
import { inHalves } from "./halves.ts";

const PUBLIC = new URL("../public/", import.meta.url);
/** Samples of a step of training, and the steps of the pen in a sample. */
const [BATCH, LENGTH] = [32, 200];
/** Letters that are mostly enough for a sample: a letter takes 17 steps, one of a small hand 12. */
const LETTERS = 18;
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

const stepsAt = Deno.args.indexOf("--steps");
const steps = stepsAt < 0 ? 1500 : Number(Deno.args[stepsAt + 1]);
const learningRate = cf.cosineDecay({ initialLearningRate: 0.005, decaySteps: steps });
using trainer = cf.createTrainer(model, {
  ...objective,
  optimizer: cf.adam({ learningRate, globalClipnorm: 1 }),
});
const random = randomFrom(1);
const heldOut = batchOf(Array.from({ length: 4 * BATCH }, () => sample(random)));
await Deno.mkdir(new URL("models/", PUBLIC), { recursive: true });
let state: cf.TrainingState = { variables: freshWeights(cf.key(0)) };
const began = performance.now();
let [sum, count] = [0, 0];
for (let step = 1; step <= steps; step++) {
  const trained = await trainer.trainOnBatch(
    state,
    batchOf(Array.from({ length: BATCH }, () => sample(random))),
  );
  state = trained;
  [sum, count] = [sum + trained.logs.loss, count + 1];
  if (step % EVERY !== 0 && step !== steps) continue;
  const { loss, location_loss, pressure_loss } = await trainer.testOnBatch(state.variables, heldOut);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const parts = `location ${location_loss.toFixed(3)}, pressure ${pressure_loss.toFixed(4)}`;
  console.log(`${step} of ${steps} steps, ${seconds} s: loss ${(sum / count).toFixed(3)}, held out ${parts}`);
  [sum, count] = [0, 0];
  const metadata = { steps: String(step), heldOut: loss.toFixed(3) };
  const file = inHalves(encodeSafetensors(await cf.toHost(state.variables), { metadata }));
  await Deno.writeFile(new URL("models/handwriting.safetensors", PUBLIC), file);
}
