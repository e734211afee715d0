/**
 * The main example, `deno task example`: handwritten digits read row by row, the performance section of Keras's
 * guide. An `lstm` layer is trained; then `rnn(lstmCell)`, the same thing said with a cell, takes its weights, predicts
 * the same to the last bit, and is trained in as much time, since there is only one path.
 */
import {
  accuracy,
  argmax,
  batchNormalization,
  compile,
  dense,
  fit,
  getWeights,
  type HostTensor,
  init,
  item,
  key,
  type Layer,
  lstm,
  lstmCell,
  predict,
  rnn,
  sequential,
  setWeights,
  sgd,
  sparseCategoricalCrossentropy,
  spec,
  splitKey,
  splitRows,
  summary,
  type Tensor,
  type Variables,
} from "@cellfold/cellfold";
import { plotCurves } from "@cellfold/cellfold/display";
import { drawDigit } from "./support/draw.ts";
import type { Digits } from "./support/generated_digits.ts";
import { type LossRecord, recordLoss } from "./support/loss_record.ts";
import { loadMnist } from "./support/mnist_data.ts";
import { largestDifference } from "./support/section.ts";
import { HELP, type MnistRun, parseOptions } from "./support/options.ts";

const BATCH_SIZE = 64;
const UNITS = 64;
/** How many batches make an epoch on the slow reference device. */
const SLOW_BATCHES = 100;

/** How many digits validate a run that is not full. */
const VALIDATION_DIGITS = 1024;
/** The learning curve shows the mean loss of so many batches. */
const CURVE_WINDOW = 20;

/** What to try after it. */
const NEXT = `
What to try next:
  deno task example --epochs 3     train longer
  deno task example --seed 1       other weights, another order
  deno task guide                  the sections of Keras's guide, one after another
  docs/notebooks                   the same with pictures, in English and Spanish
  docs/guide.md                    what else there is
  deno run -A formats/create/mod.ts ../my-model
                                   a project of your own`;

/** What it is about to do. */
const OPENING =
  `A recurrent network learns to read handwritten digits row by row, first as the layer lstm. Then the same
network, made of a cell, takes over its weights, predicts the same to the last bit, and learns on.
`;

/**
 * Milliseconds that a batch takes on two cores, about, on the devices that do well on any processor: one that is
 * learned, and one that is only predicted.
 */
const MILLISECONDS: Readonly<Record<string, { readonly learned: number; readonly predicted: number }>> = {
  auto: { learned: 3.5, predicted: 1.2 }, // wasm, or native where that is permitted
  wasm: { learned: 3.5, predicted: 1.2 },
  native: { learned: 2.5, predicted: 1 },
};

/** A digit is 28 rows of 28 pixels: a sequence of 28 steps. */
const digitModel = (recurrent: Layer) => sequential([recurrent, batchNormalization(), dense({ units: 10 })]);

interface Samples {
  readonly x: HostTensor;
  readonly y: HostTensor;
}

interface Prepared extends MnistRun {
  readonly source: string;
  readonly train: Samples;
  readonly validation: Samples;
  readonly available: { readonly train: number; readonly validation: number };
  /** The name of the device that runs it all. */
  readonly runsOn: string;
}

/** Everything that can be wrong with what the user gave is found here, before anything runs. */
async function prepare(run: MnistRun): Promise<Prepared> {
  await checkFolderOf(run.curve);
  const { device: runsOn } = compile((x: Tensor) => x, { device: run.device });
  if (run.data === undefined) console.log(OPENING); // loading may take a while, and finds no fault with what was given
  const { source, train, test } = await loadMnist({ data: run.data });
  if (run.data !== undefined) console.log(OPENING);
  const full = run.full || (run.batches === undefined && runsOn !== "reference");
  const samples = ({ images, labels }: Digits, most: number): Samples =>
    full ? { x: images, y: labels } : splitRows({ x: images, y: labels }, Math.min(most, labels.shape[0]))[0];
  return {
    ...run,
    full,
    source,
    runsOn,
    train: samples(train, (run.batches ?? SLOW_BATCHES) * BATCH_SIZE),
    validation: samples(test, VALIDATION_DIGITS),
    available: { train: train.labels.shape[0], validation: test.labels.shape[0] },
  };
}

/** Throws where a file cannot be written for want of a folder: better now than after the training. */
async function checkFolderOf(path: string): Promise<void> {
  const folder = path.replace(/[^/\\]*$/, "") || ".";
  const found = await Deno.stat(folder).catch(() => undefined);
  if (!found?.isDirectory) throw new Error(`Cannot write ${path}: there is no folder ${folder}`);
}

/** How long it takes, in words. */
function duration({ train, validation, runsOn, epochs }: Prepared): string {
  const cost = MILLISECONDS[runsOn];
  const trainings = `two trainings of ${epochs === 1 ? "an epoch" : `${epochs} epochs`}`;
  if (runsOn === "reference") {
    return `${trainings} take minutes: the reference device is for checking, not for speed`;
  }
  if (cost === undefined) return `${trainings}; the time left is shown once they run`;
  const batches = ({ y }: Samples) => Math.ceil(y.shape[0] / BATCH_SIZE);
  const epoch = cost.learned * batches(train) + cost.predicted * batches(validation);
  return `${trainings} take about ${Math.ceil(2 + 2 * epochs * epoch / 1000)} seconds on two cores`;
}

function describe(run: Prepared): void {
  const { source, train, validation, available, runsOn, full, seed } = run;
  const [used, validating] = [train.y.shape[0], validation.y.shape[0]];
  const batches = (samples: number) => Math.ceil(samples / BATCH_SIZE);
  console.log(`data: ${source}`);
  console.log(`device: ${runsOn}, seed: ${seed}`);
  console.log(
    full
      ? `an epoch is all ${batches(used)} batches of ${BATCH_SIZE}, validated on all ${validating} digits`
      : `an epoch is ${batches(used)} of ${
        batches(available.train)
      } batches of ${BATCH_SIZE}, validated on ` +
        `${validating} of ${available.validation} digits; --full takes them all`,
  );
  console.log(`time: ${duration(run)}`);
}

interface Trained {
  readonly variables: Variables;
  readonly record: LossRecord;
  readonly seconds: number;
}

async function train(model: Layer, variables: Variables, run: Prepared): Promise<Trained> {
  const record = recordLoss(CURVE_WINDOW);
  const start = performance.now();
  const result = await fit(model, variables, run.train, {
    loss: sparseCategoricalCrossentropy({ fromLogits: true }),
    optimizer: sgd({ learningRate: 0.01 }),
    metrics: [accuracy()],
    batchSize: BATCH_SIZE,
    epochs: run.epochs,
    validation: run.validation,
    key: splitKey(key(run.seed), 2)[1],
    callbacks: [record.callback],
    device: run.device,
  });
  const seconds = (performance.now() - start) / 1000;
  console.log(`took ${seconds.toFixed(1)} s: ${record.losses.length} batches, compilation and validation`);
  return { variables: result.variables, record, seconds };
}

async function main(run: Prepared): Promise<void> {
  describe(run);
  const input = spec([null, 28, 28]);
  const layerModel = digitModel(lstm({ units: UNITS }));
  console.log(`\n${summary(layerModel, input)}\n`);

  console.log("lstm layer");
  const first = await train(layerModel, init(layerModel, splitKey(key(run.seed), 2)[0], input), run);

  console.log("\nrnn(lstmCell), from the weights of the layer");
  const cellModel = digitModel(rnn(lstmCell({ units: UNITS })));
  const copied = setWeights(
    init(cellModel, key(run.seed), input),
    getWeights(first.variables).map(({ tensor }) => tensor),
  );
  const [batch] = splitRows(run.validation.x, Math.min(BATCH_SIZE, run.validation.x.shape[0]));
  const options = { batchSize: BATCH_SIZE, device: run.device };
  const largest = largestDifference(
    await predict(layerModel, first.variables, batch, options),
    await predict(cellModel, copied, batch, options),
  );
  console.log(`predictions of both on the first test batch: largest difference ${largest}`);
  if (largest !== 0) {
    throw new Error(`Cannot go on: the two models differ by ${largest}, expected no difference`);
  }
  const second = await train(cellModel, copied, run);
  console.log(
    `\ntimes: lstm layer ${first.seconds.toFixed(1)} s, rnn(lstmCell) ${second.seconds.toFixed(1)} s`,
  );

  const device = run.device ?? "reference";
  const [x] = splitRows(run.train.x, 1);
  const logits = await predict(cellModel, second.variables, x, { device });
  console.log(`\nthe first training digit, predicted on ${device}:\n`);
  console.log(drawDigit(x.data.slice(0, 28 * 28) as Float32Array)); // images are float32
  console.log(`predicted: ${item(argmax(logits))}, label: ${run.train.y.data[0]}`);

  await Deno.writeTextFile(run.curve, drawCurve(first.record, second.record));
  console.log(`\nlearning curve: ${run.curve}`);
  console.log(NEXT);
}

function drawCurve(first: LossRecord, second: LossRecord): string {
  return plotCurves([
    { name: "lstm layer", values: first.losses },
    { name: "its validation", values: first.validation },
    { name: "rnn(lstmCell)", values: second.losses },
    { name: "its validation", values: second.validation },
  ], {
    title: "Handwritten digits, row by row",
    xLabel: "batches",
    yLabel: `loss, mean of ${CURVE_WINDOW} batches`,
  });
}

if (import.meta.main) {
  const run = await Promise.resolve(Deno.args).then(parseOptions).then((options) =>
    options && prepare(options)
  )
    .catch((error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      Deno.exit(1);
    });
  if (run) await main(run);
  else console.log(HELP);
}
