/**
 * Classification of ragged sequences: recordings of machines, of 12 to 60 steps, of which few show a defect.
 *
 *     deno run examples/ragged.ts
 *
 * Takes about 10 seconds on two cores, and prints precision, recall and F1 of each class, trained without and with
 * class weights. Padding is masked; that it changes no prediction is checked. The recordings are made up by a seeded
 * generator. With `--picture FILE` (and --allow-write=FILE) it draws F1 by epoch; `--small` takes 4 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { CLASSES, makeRecordings, type Recording } from "./support/recordings.ts";
import { meanF1, printScore, type Score, scoresOf } from "./support/scores.ts";
import { claim, largestDifference } from "./support/section.ts";

const BUCKETS = { dtype: "float32", targetDtype: "int32", padding: "post" } as const;

const model = cf.sequential([
  cf.masking(), // padded steps are zeros, which the sensors do not give
  cf.bidirectional(cf.gru({ units: 16, returnSequences: true })),
  cf.gru({ units: 16 }),
  cf.dense({ units: CLASSES.length, activation: "softmax" }),
]);

/** The scores of all classes. */
async function test(variables: cf.Variables, recordings: readonly Recording[]): Promise<Score[]> {
  const batches = [...cf.bucketByLength(recordings, { ...BUCKETS, batchSize: 64 })];
  const output = await cf.predict(model, variables, () => batches.map(({ x }) => x));
  const predicted = cf.host(cf.argmax(output)).data;
  return scoresOf(batches.flatMap(({ y }) => [...y.data]), [...predicted], CLASSES.length);
}

/** What training gives. */
interface Trained {
  readonly variables: cf.Variables;
  /** The mean F1 on recordings that were not seen, after each epoch. */
  readonly f1: readonly number[];
  readonly scores: readonly Score[];
}

/** Trains on batches of recordings of similar lengths, with each class counting as `classWeight` says. */
async function train(
  seen: readonly Recording[],
  unseen: readonly Recording[],
  epochs: number,
  classWeight?: Readonly<Record<number, number>>,
): Promise<Trained> {
  const f1: number[] = [];
  const batches = (epoch: number) =>
    cf.bucketByLength(seen, { ...BUCKETS, multipleOf: 8, key: cf.foldIn(cf.key(1), epoch) });
  const { variables } = await cf.fit(model, cf.init(model, cf.key(0), cf.spec([null, null, 3])), batches, {
    loss: "sparseCategoricalCrossentropy",
    optimizer: cf.adam({ learningRate: 0.01 }),
    epochs,
    classWeight,
    callbacks: [{
      onEpochEnd: async (context) => void f1.push(meanF1(await test(await context.variables(), unseen))),
    }],
    report: "none",
  });
  return { variables, f1, scores: await test(variables, unseen) };
}

/** Runs the program; gives the mean F1 of a model that always says `sound`, and of the two that were trained. */
export async function main(
  options: ProgramOptions = {},
): Promise<{ trivial: number; plain: number; weighted: number }> {
  const { small = false, log = console.log } = options;
  const recordings = makeRecordings(small ? 1400 : 2400);
  const held = recordings.length / 4;
  const [unseen, seen] = [recordings.slice(0, held), recordings.slice(held)];
  const counts = CLASSES.map((_, which) => seen.filter(({ y }) => y === which).length);
  log(`${seen.length} recordings: ${CLASSES.map((name, i) => `${counts[i]} ${name}`).join(", ")}`);

  const epochs = small ? 8 : 12;
  const weights = Object.fromEntries(counts.map((count, which) => [which, Math.sqrt(counts[0] / count)]));
  const plain = await train(seen, unseen, epochs);
  const weighted = await train(seen, unseen, epochs, weights);
  for (const [name, { scores }] of Object.entries({ "without weights": plain, "with weights": weighted })) {
    log(`\n${name}: mean F1 ${meanF1(scores).toFixed(3)}`);
    scores.forEach((score, i) => log(`  ${CLASSES[i].padEnd(6)} ${printScore(score)}`));
  }
  const trivial = meanF1(scoresOf(unseen.map(({ y }) => y), unseen.map(() => 0), CLASSES.length));
  claim(
    log,
    meanF1(weighted.scores) > 2 * trivial,
    `to say "sound" of all has a mean F1 of ${trivial.toFixed(3)}`,
  );

  const [shortest, ...others] = unseen.toSorted((a, b) => a.x.length - b.x.length).map(({ x }) => x);
  const padded = cf.padSequences([shortest, ...others], { padding: "post", dtype: "float32" }).values;
  const together = await cf.predict(model, weighted.variables, padded);
  const alone = await cf.predict(model, weighted.variables, cf.tensor([shortest]));
  const largest = largestDifference(alone, cf.slice(together, { start: [0, 0], size: [1, CLASSES.length] }));
  claim(
    log,
    largest < 1e-6,
    `${shortest.length} steps, padded to ${padded.shape[1]}, are predicted as they are alone, to 1e-6`,
  );

  await writePicture(
    options,
    ({ plotCurves }) =>
      plotCurves(
        [{ name: "with class weights", values: weighted.f1 }, { name: "without", values: plain.f1 }],
        {
          title: "Mean F1 of the classes, of which two are rare",
          xLabel: "epoch",
          yLabel: "mean F1 of the classes",
        },
      ),
  );
  return { trivial, plain: meanF1(plain.scores), weighted: meanF1(weighted.scores) };
}

if (import.meta.main) await main(programOptions(Deno.args));
