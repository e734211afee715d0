/**
 * A model of letters: a GRU reads text letter by letter, learns which letter comes next, and writes.
 *
 *     deno run --allow-read=docs examples/characters.ts
 *
 * Takes about 35 seconds on two cores, and prints the loss of each epoch, what the model writes at three temperatures
 * and how fast. The text is the prose of this library's own documentation, docs/*.md; with `--picture FILE` (and
 * --allow-write) it draws the learning curve, with `--small` it learns little in 2 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { claim } from "./support/section.ts";

const PAGES = ["guide", "architecture", "formats", "hosts", "keras", "numbers", "performance", "standalone"];
const STEPS = 64; // letters that a sequence has

/** Prose without code, tables, headings and links, its letters in lower case. */
function proseOf(markdown: string): string {
  return markdown
    .replace(/```[^]*?```/g, "").replace(/^[|#].*$/gm, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase().replace(/[`*]/g, "").replace(/[^a-z0-9 .,;:()'?-]+/g, " ").replace(/ +/g, " ");
}

/** How surprising the next letter is in `text`, in nats, to one who knows how often each follows another in `seen`. */
function lossOfPairs(seen: readonly number[], text: readonly number[], letters: number): number {
  const counts = Array.from({ length: letters }, () => new Float64Array(letters).fill(0.1));
  for (let i = 1; i < seen.length; i++) counts[seen[i - 1]][seen[i]]++;
  const totals = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  const surprise = (letter: number, i: number) =>
    i === 0 ? 0 : Math.log(totals[text[i - 1]] / counts[text[i - 1]][letter]);
  return text.reduce((sum, letter, i) => sum + surprise(letter, i), 0) / (text.length - 1);
}

/** Sequences of letters, and for each letter the next one. */
function sequencesOf(tokens: readonly number[]): cf.Data {
  const rows = Math.floor((tokens.length - 1) / STEPS);
  const cut = (from: number) =>
    cf.tensor(tokens.slice(from, from + rows * STEPS), { shape: [rows, STEPS], dtype: "int32" });
  return { x: cut(0), y: cut(1) };
}

/** Runs the program; gives the losses in nats per letter. */
export async function main(options: ProgramOptions = {}): Promise<{ loss: number; pairs: number }> {
  const { small = false, log = console.log } = options;
  const pages = await Promise.all(
    PAGES.map((page) => Deno.readTextFile(new URL(`../docs/${page}.md`, import.meta.url))),
  );
  const text = pages.map(proseOf).join(" ").slice(0, small ? 24_000 : undefined);
  const letters = [...new Set(text)].sort();
  const encode = (text: string) => [...text].map((letter) => letters.indexOf(letter));
  const decode = (tokens: Iterable<number>) => [...tokens].map((token) => letters[token]).join("");
  const tokens = encode(text);
  const held = Math.floor(tokens.length * 0.9);
  const [seen, unseen] = [tokens.slice(0, held), tokens.slice(held)];
  const pairs = lossOfPairs(seen, unseen, letters.length);
  log(
    `${tokens.length} letters, ${letters.length} kinds; pairs of letters alone give ${pairs.toFixed(3)} nats`,
  );

  const model = cf.sequential([
    cf.embedding({ inputDim: letters.length, outputDim: 24 }),
    cf.gru({ units: small ? 64 : 160, returnSequences: true }),
    cf.dropout({ rate: small ? 0 : 0.2 }),
    cf.dense({ units: letters.length }),
  ]);
  const [batchSize, epochs, initialLearningRate] = small ? [4, 6, 0.01] : [16, 14, 0.008];
  const decaySteps = epochs * Math.ceil(seen.length / STEPS / batchSize);
  const { variables, history } = await cf.fit(
    model,
    cf.init(model, cf.key(0), cf.spec([null, null], "int32")),
    sequencesOf(seen),
    {
      loss: cf.sparseCategoricalCrossentropy({ fromLogits: true }),
      optimizer: cf.adam({ learningRate: cf.cosineDecay({ initialLearningRate, decaySteps }) }),
      batchSize,
      epochs,
      validation: sequencesOf(unseen),
      report: options.log ? "none" : "auto",
    },
  );
  const loss = history.val_loss[epochs - 1];
  claim(log, loss < pairs, `text that it has not seen costs ${loss.toFixed(3)} nats per letter, below pairs`);

  const prompt = cf.tensor([encode("the state ")], { dtype: "int32" });
  const steps = small ? 40 : 300;
  for (const temperature of [0.3, 0.7, 1]) {
    const written = await cf.generate(model, variables, { prompt, steps, temperature, key: cf.key(1) });
    log(`\ntemperature ${temperature}: the state ${decode(written.tokens.data)}`);
  }

  // The same letter by letter, as one shows them while they are written.
  const whole = await cf.generate(model, variables, { prompt, steps, key: cf.key(1), temperature: 0.7 });
  using stream = cf.streaming(model, variables);
  const begun = performance.now();
  let logits = cf.at(await stream.push(prompt), -1, { axis: 1 });
  const streamed: number[] = [];
  for (let i = 0; i < steps; i++) {
    const token = cf.categorical(cf.foldIn(cf.key(1), i), cf.div(logits, 0.7));
    streamed.push(cf.item(token));
    logits = await stream.step(token);
  }
  const rate = Math.round(1000 * steps / (performance.now() - begun));
  claim(
    log,
    decode(streamed) === decode(whole.tokens.data),
    `letter by letter it writes the same, ${rate} letters a second`,
  );

  await writePicture(options, ({ plotCurves }) =>
    plotCurves([
      { name: "training", values: history.loss },
      { name: "text not seen", values: history.val_loss },
      { name: "pairs of letters", values: history.loss.map(() => pairs) },
    ], { title: "A GRU learns to write", xLabel: "epoch", yLabel: "nats per letter" }));
  return { loss, pairs };
}

if (import.meta.main) await main(programOptions(Deno.args));
