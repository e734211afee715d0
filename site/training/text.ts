/**
 * Trains the model of the demo "Text by characters" on `public/data/botchan.txt`, and writes what the demo ships:
 *
 *     deno run -A site/training/text.ts
 *
 * `--steps N` (default 1000) trains for longer or shorter. Three minutes of two cores. The last twentieth of the text is held
 * out; its loss is printed. The result depends on nothing but the text and the device.
 */
import * as cf from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { encode } from "../demos/text/alphabet.ts";
import type { TextModel } from "../demos/text/text.ts";
import { trainOn } from "../demos/text/training.ts";

const PUBLIC = new URL("../public/", import.meta.url);
const UNITS = 224;
const HELD_OUT = 0.05;
/** Characters of a sequence of the text that is held out. */
const LENGTH = 200;

/** The mean of `-log p` over the characters of a text, in nats. */
async function lossOn({ alphabet, model, variables }: TextModel, text: string): Promise<number> {
  const tokens = encode(text, alphabet);
  const rows = Math.floor((tokens.length - 1) / LENGTH);
  const from = (shift: number) =>
    cf.tensor(tokens.slice(shift, shift + rows * LENGTH), { shape: [rows, LENGTH], dtype: "int32" });
  const loss = cf.sparseCategoricalCrossentropy({ fromLogits: true });
  return (await cf.evaluate(model, variables, { x: from(0), y: from(1) }, { loss })).loss;
}

const stepsAt = Deno.args.indexOf("--steps");
const steps = stepsAt < 0 ? 1000 : Number(Deno.args[stepsAt + 1]);
const text = await Deno.readTextFile(new URL("data/botchan.txt", PUBLIC));
const end = Math.floor(text.length * (1 - HELD_OUT));
await Deno.mkdir(new URL("models/", PUBLIC), { recursive: true });
const began = performance.now();
let [sum, count] = [0, 0];
const options = {
  units: UNITS,
  batch: 64,
  length: 100,
  learningRate: 0.005,
  sampleEvery: 100,
  device: "auto",
  steps,
} as const;
for await (const { step, loss, text: trained, sample } of trainOn(text.slice(0, end), options)) {
  [sum, count] = [sum + loss, count + 1];
  if (!trained) continue;
  const heldOut = (await lossOn(trained, text.slice(end))).toFixed(3);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `${step} of ${steps} steps, ${seconds} s: loss ${(sum / count).toFixed(3)}, held out ${heldOut}`,
  );
  console.log(JSON.stringify(sample));
  [sum, count] = [0, 0];
  const metadata = {
    alphabet: JSON.stringify(trained.alphabet),
    units: String(UNITS),
    steps: String(step),
    heldOut,
  };
  const file = encodeSafetensors(trained.variables, { metadata, floats: "float16" });
  await Deno.writeFile(new URL("models/text.safetensors", PUBLIC), file);
}
