/**
 * Tagging: which letters of a message are a name, a street, a date or a sum of money? One tag for each letter.
 *
 *     deno run examples/tagging.ts
 *
 * Takes about 15 seconds on two cores, and prints precision, recall and F1 of whole parts ("May Bell" is a name, all of
 * it or wrong), beside a table of words, and some messages with their tags. The messages are made up by a seeded
 * generator: most of the names to find were never seen, words such as May are names, streets and months, and some
 * letters are mistyped. With `--picture FILE` (and --allow-write=FILE) it draws the tags of a message; `--small` takes
 * 3 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { makeMessages, type Message, partsOf, TAGS } from "./support/messages.ts";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { printScore, type Score, scoreOf } from "./support/scores.ts";
import { claim } from "./support/section.ts";

/** Letters are numbered from 1; 0 is padding, which `maskZero` masks. All letters that were not seen are one. */
const LETTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,$";
const encode = (text: string) => [...text].map((letter) => 1 + LETTERS.indexOf(letter));

/** The score of the parts that are found, over all messages. */
function scoreParts(messages: readonly Message[], tagged: readonly ArrayLike<number>[]): Score {
  let [right, found, there] = [0, 0, 0];
  messages.forEach(({ tags }, i) => {
    const [expected, given] = [partsOf(tags), partsOf(tagged[i])];
    right += given.filter((part) => expected.includes(part)).length;
    found += given.length;
    there += expected.length;
  });
  return scoreOf(right, found, there);
}

/** The tags that a table gives: for each word the one that its letters had most often, `other` for unknown words. */
function tagsOfWords(seen: readonly Message[], unseen: readonly Message[]): number[][] {
  const counts = new Map<string, number[]>();
  for (const { text, tags } of seen) {
    for (const { 0: word, index } of text.matchAll(/\w+/g)) {
      const count = counts.get(word) ?? TAGS.map(() => 0);
      count[tags[index]]++;
      counts.set(word, count);
    }
  }
  return unseen.map(({ text }) => {
    const tags = Array<number>(text.length).fill(0);
    for (const { 0: word, index } of text.matchAll(/\w+/g)) {
      const count = counts.get(word) ?? [1];
      tags.fill(count.indexOf(Math.max(...count)), index, index + word.length);
    }
    return tags.map((tag, i) => tag === 0 && tags[i - 1] === tags[i + 1] ? tags[i + 1] ?? 0 : tag); // spaces inside
  });
}

/** A message with its parts in brackets. */
function bracketed(text: string, tags: ArrayLike<number>): string {
  return [...text].map((letter, i) => {
    const begins = tags[i] > 0 && tags[i] !== tags[i - 1];
    const ends = tags[i] > 0 && tags[i] !== tags[i + 1];
    return `${begins ? `[${TAGS[tags[i]]}: ` : ""}${letter}${ends ? "]" : ""}`;
  }).join("");
}

/** Runs the program; gives F1 of the table and of the model. */
export async function main(options: ProgramOptions = {}): Promise<{ table: number; model: number }> {
  const { small = false, log = console.log } = options;
  const [seen, unseen] = [makeMessages(small ? 800 : 3000, 1), makeMessages(small ? 150 : 1000, 2)];
  const model = cf.sequential([
    cf.embedding({ inputDim: LETTERS.length + 1, outputDim: 24, maskZero: true }),
    cf.bidirectional(cf.lstm({ units: small ? 32 : 64, returnSequences: true })),
    cf.dense({ units: TAGS.length }),
  ]);
  const samples = seen.map(({ text, tags }) => ({ x: encode(text), y: [...tags] }));
  const { variables } = await cf.fit(
    model,
    cf.init(model, cf.key(0), cf.spec([null, null], "int32")),
    (epoch) =>
      cf.bucketByLength(samples, {
        targets: "steps",
        targetDtype: "int32",
        padding: "post",
        key: cf.foldIn(cf.key(1), epoch),
      }),
    {
      loss: cf.sparseCategoricalCrossentropy({ fromLogits: true }), // of the letters, not of the padding
      optimizer: cf.adam({ learningRate: small ? 0.02 : 0.01 }),
      metrics: ["accuracy"],
      epochs: small ? 5 : 4,
      report: options.log ? "none" : "auto",
    },
  );

  const { values } = cf.padSequences(unseen.map(({ text }) => encode(text)), { padding: "post" });
  const logits = await cf.predict(model, variables, values);
  const chosen = cf.host(cf.argmax(logits));
  const tagged = unseen.map(({ text }, i) =>
    chosen.data.slice(i * chosen.shape[1], i * chosen.shape[1] + text.length)
  );
  const [table, found] = [scoreParts(unseen, tagsOfWords(seen, unseen)), scoreParts(unseen, tagged)];
  log(`a table of words: ${printScore(table)}\nthe model:        ${printScore(found)}\n`);
  unseen.slice(0, 5).forEach(({ text }, i) => log(bracketed(text, tagged[i])));
  claim(log, found.f1 > table.f1, "the model finds more than the table of words");

  const text = "in May June May moved to August Lane 5";
  const example = cf.softmax(
    cf.host(await cf.predict(model, variables, cf.tensor([encode(text)], { dtype: "int32" }))),
  );
  log(`\n${bracketed(text, cf.host(cf.argmax(example)).data)}`);
  await writePicture(options, ({ plotCurves }) => {
    const probability = (tag: number) => Array.from(cf.host(cf.at(example, tag, { axis: 2 })).data);
    return plotCurves(TAGS.map((name, tag) => ({ name, values: probability(tag) })), {
      title: "Tags of a message, letter by letter",
      xLabel: `the letters of "${text}"`,
      yLabel: "probability",
    });
  });
  return { table: table.f1, model: found.f1 };
}

if (import.meta.main) await main(programOptions(Deno.args));
