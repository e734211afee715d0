/**
 * Training from files that are larger than the memory it takes; killed in the middle, and resumed to the bit.
 *
 *     deno run --allow-read --allow-write examples/files.ts
 *
 * Takes about 35 seconds on two cores and 320 MB in a temporary folder, which is removed; prints how much memory
 * training took, and that a run that was interrupted ends as one that was not. The files are recordings of four rhythms
 * under noise, made up by a seeded generator, as safetensors. With `--picture FILE` it draws the loss of both runs;
 * `--small` takes 3 seconds and 2 MB.
 */
import * as cf from "@cellfold/cellfold";
import { decodeSafetensors } from "@cellfold/cellfold/safetensors";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { makeRhythms, type RhythmShape, writeRhythms } from "./support/rhythms.ts";
import { claim, largestDifference } from "./support/section.ts";

const BATCH_SIZE = 64;

/** The batches of all files, which come in another order in each epoch. One file is in memory at a time, or two. */
async function* batchesOf(paths: readonly string[], epoch: number): AsyncGenerator<cf.Data> {
  const order = cf.host(cf.uniform(cf.foldIn(cf.key(7), epoch), [paths.length])).data;
  for (const path of paths.toSorted((a, b) => order[paths.indexOf(a)] - order[paths.indexOf(b)])) {
    const { x, y } = decodeSafetensors(await Deno.readFile(path)).tensors;
    yield* cf.batches({ x, y }, { batchSize: BATCH_SIZE });
  }
}

/** What a run gives. */
interface Run extends cf.FitResult {
  /** The loss after each update of this call, as its epoch's mean so far. */
  readonly losses: readonly number[];
  /** By how much the memory of the process grew at most, in bytes. */
  readonly grown: number;
}

/** Trains, or goes on with the run whose checkpoints are in `directory`; `until` interrupts it after so many updates. */
async function train(
  model: cf.Layer,
  paths: readonly string[],
  shape: RhythmShape,
  options: { readonly directory: string; readonly until?: number },
): Promise<Run> {
  const { directory, until } = options;
  const interruption = new AbortController();
  const losses: number[] = [];
  const before = Deno.memoryUsage().rss;
  let most = before;
  const variables = cf.init(model, cf.key(0), cf.spec([null, null, shape.channels]));
  const result = await cf.fit(model, variables, (epoch) => batchesOf(paths, epoch), {
    loss: "sparseCategoricalCrossentropy",
    optimizer: cf.adam({ learningRate: 0.01 }),
    metrics: ["accuracy"],
    epochs: 2,
    callbacks: [cf.checkpoint({ directory, every: { steps: 20 } }), {
      onBatchEnd: ({ logs, updates }) => {
        losses[updates - 1] = logs.loss;
        most = Math.max(most, Deno.memoryUsage().rss);
        if (updates === until) interruption.abort();
      },
    }],
    resume: { directory, optional: true },
    signal: interruption.signal,
    report: "none",
  });
  return { ...result, losses, grown: most - before };
}

/** Runs the program; gives the accuracy on recordings that are in no file. */
export async function main(options: ProgramOptions = {}): Promise<{ accuracy: number }> {
  const { small = false, log = console.log } = options;
  const shape = { samples: small ? 128 : 512, steps: small ? 40 : 100, channels: small ? 8 : 32 };
  const model = cf.sequential([cf.gru({ units: 32 }), cf.dense({ units: 4, activation: "softmax" })]);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const folder = await Deno.makeTempDir();
  try {
    const paths = await writeRhythms(folder, small ? 20 : 48, shape);
    const sizes = await Promise.all(paths.map(async (path) => (await Deno.stat(path)).size));
    const size = sizes.reduce((sum, size) => sum + size, 0);
    log(`${paths.length} files, ${megabytes(size)}`);

    const whole = await train(model, paths, shape, { directory: `${folder}/whole` });
    log(`training took ${megabytes(whole.grown)} of memory`);
    if (!small) claim(log, whole.grown < size, "less memory than the files have");

    const directory = `${folder}/parts`;
    const until = Math.floor(0.6 * whole.losses.length) + 5; // between two checkpoints, in the second epoch
    const first = await train(model, paths, shape, { directory, until });
    log(`interrupted after ${first.losses.length} of ${whole.losses.length} updates (${first.stopped})`);
    const second = await train(model, paths, shape, { directory });
    claim(
      log,
      largestDifference(second.variables.params, whole.variables.params) === 0,
      "resumed, it ends with the same weights, to the bit",
    );
    claim(log, `${second.history.loss}` === `${whole.history.loss}`, "and with the same history");

    const unseen = makeRhythms(shape, 1000);
    const { accuracy } = await cf.evaluate(model, second.variables, unseen, {
      loss: "sparseCategoricalCrossentropy",
      metrics: ["accuracy"],
    });
    log(`right of recordings in no file: ${(100 * accuracy).toFixed(1)} %, by chance 25 %`);
    await writePicture(options, ({ plotCurves }) =>
      plotCurves([
        { name: "not interrupted", values: whole.losses },
        { name: "interrupted", values: first.losses },
        { name: "resumed", values: Array.from(second.losses, (loss) => loss ?? NaN) },
      ], {
        title: "A run that was interrupted goes on",
        xLabel: "updates",
        yLabel: "mean loss of the epoch so far",
      }));
    return { accuracy };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await main(programOptions(Deno.args));
