/**
 * Sequence to sequence with attention and beam search: "Sun 3 May 1987" becomes "1987-05-03".
 *
 *     deno run examples/attention/main.ts
 *
 * Takes about 35 seconds on two cores, and prints how many dates are right of those that the model has not seen, and
 * the most probable readings of 3/4/1985, which may lie in April or in March. The decoder is a cell of its own
 * (models.ts), whose state has in it what the encoder read; so it is fed step by step, and `beamSearch` forks it.
 * The dates are made up by a seeded generator. With `--picture FILE` (and --allow-write=FILE) it draws where the
 * decoder looks; `--small` takes 5 seconds and learns less.
 */
import * as cf from "@cellfold/cellfold";
import { type ProgramOptions, programOptions, writePicture } from "../support/program.ts";
import { claim } from "../support/section.ts";
import { makeDates, type WrittenDate } from "./dates.ts";
import { LONGEST, makeModels, variablesOf } from "./models.ts";

const READ = " abcdefghijklmnopqrstuvwxyzADFJMNOSTW0123456789,./";
const WRITTEN = "\n0123456789-"; // the newline begins and ends a date
const STEPS = "1987-05-03\n".length;

/** Texts of one length as tokens, `[texts, letters]`. */
const encode = (texts: readonly string[], letters: string) =>
  cf.tensor(texts.map((text) => [...text].map((letter) => letters.indexOf(letter))), { dtype: "int32" });
const encodeSources = (sources: readonly string[]) =>
  encode(sources.map((source) => source.padEnd(LONGEST)), READ);
const decode = (tokens: readonly number[]) => tokens.map((token) => WRITTEN[token]).join("").trim();

const { encoder, decoder, both } = makeModels({ read: READ.length, written: WRITTEN.length });

/** What to read, and what to write: at each step the decoder gets the letter before the one to write. */
function dataOf(dates: readonly WrittenDate[]) {
  const targets = dates.map(({ target }) => target);
  return {
    x: {
      source: encodeSources(dates.map(({ source }) => source)),
      target: encode(targets.map((target) => `\n${target}`), WRITTEN),
    },
    y: { logits: encode(targets.map((target) => `${target}\n`), WRITTEN) },
  };
}

/** A way to write a date. */
interface Reading {
  readonly text: string;
  readonly probability: number;
}

/** The most probable ways to write each date, found with so many beams. */
async function write(
  variables: cf.Variables,
  sources: readonly string[],
  beams: number,
): Promise<Reading[][]> {
  const parts = variablesOf(variables);
  const first = await cf.predict(encoder, parts.encoder, encodeSources(sources));
  const prompt = encode(sources.map(() => "\n"), WRITTEN);
  const options = { prompt, steps: STEPS, stop: WRITTEN.indexOf("\n"), beams };
  const { tokens, scores } = await cf.beamSearch(decoder, parts.decoder(first), options);
  const logarithms = cf.toNested(scores) as number[][]; // [sources, beams]
  return (cf.toNested(tokens) as number[][][]).map((found, source) =>
    found.map((tokens, beam) => ({ text: decode(tokens), probability: Math.exp(logarithms[source][beam]) }))
  );
}

/** Runs the program; gives the share of dates with one meaning that are right, and the readings of one with two. */
export async function main(
  options: ProgramOptions = {},
): Promise<{ right: number; readings: readonly Reading[] }> {
  const { small = false, log = console.log } = options;
  const [samples, batchSize, epochs] = small ? [1200, 32, 5] : [6000, 64, 10];
  const data = dataOf(makeDates(samples, 1));
  const decaySteps = epochs * Math.ceil(samples / batchSize);
  const { variables, history } = await cf.fit(both, cf.init(both, cf.key(0), data.x), data, {
    loss: { logits: cf.sparseCategoricalCrossentropy({ fromLogits: true }), weights: null },
    optimizer: cf.adam({ learningRate: cf.cosineDecay({ initialLearningRate: 0.01, decaySteps }) }),
    batchSize,
    epochs,
    report: options.log ? "none" : "auto",
  });
  log(`the loss of a letter falls from ${history.loss[0].toFixed(2)} to ${history.loss.at(-1)?.toFixed(3)}`);

  const unseen = makeDates(small ? 200 : 1000, 2).filter(({ isAmbiguous }) => !isAmbiguous);
  const rightWith = async (beams: number) => {
    const found = await write(variables, unseen.map(({ source }) => source), beams);
    return found.filter(([{ text }], i) => text === unseen[i].target).length / unseen.length;
  };
  const [greedy, right] = [await rightWith(1), await rightWith(4)];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  log(
    `right of ${unseen.length} unseen: ${percent(greedy)} letter by letter, ${
      percent(right)
    } with four beams`,
  );
  claim(log, right >= greedy, "beams do not make it worse");

  const example = { source: "Sun 3 May 1987", target: "1987-05-03", isAmbiguous: false };
  const [readings, [easy]] = await write(variables, ["3/4/1985", example.source], 3);
  log(`${example.source}: ${easy.text}, ${percent(easy.probability)}`);
  log(`3/4/1985: ${readings.map(({ text, probability }) => `${text}, ${percent(probability)}`).join("; ")}`);

  const shown = await cf.predict(both, variables, dataOf([example]).x);
  await writePicture(options, ({ plotStates }) =>
    plotStates(shown.weights, {
      title: `Where the decoder looks in "${example.source}", letter by letter`,
    }));
  return { right, readings };
}

if (import.meta.main) await main(programOptions(Deno.args));
