/** Data-parallel training of a cell of the user's own: in one process, in two workers, and with one of them killed. */
import { type HostTensor, item, toHost } from "@cellfold/cellfold";
import { claim, largestDifference, type Log } from "../support/section.ts";
import {
  batchOf,
  compiledUpdate,
  type Digits,
  firstState,
  GLOBAL_BATCH,
  readState,
  type TrainingState,
  UPDATES,
} from "./own_cell.ts";
import type { PythonEnvironment } from "./setup.ts";

/** At which update a worker is killed, counted from 0: not one at which a checkpoint was just written. */
const KILLED_AT = 29;
const WORKERS = 2;

/** One start of the workers, as parallel.py reports it. */
interface Start {
  /** How many updates were in the checkpoint. */
  readonly from: number;
  /** The error with which it ended, if a worker was lost. */
  readonly lost: string | null;
  readonly workers: readonly { readonly rank: number; readonly pid: number; readonly losses: Losses }[];
}

/** By update. */
interface Losses {
  readonly [update: string]: number;
}

/** What training ends with, and the loss of every update. */
export interface Trained {
  readonly state: TrainingState;
  readonly losses: readonly number[];
}

/** The same updates in this process, each from the whole batch. */
export async function trainAlone(digits: Digits): Promise<Trained> {
  const { gradients, apply } = compiledUpdate({ name: "wasm", threads: 1 });
  let state = firstState();
  const losses: number[] = [];
  for (let update = 0; update < UPDATES; update++) {
    const { x, y } = batchOf(digits, update);
    const [loss, gradient] = await gradients(state.params, x, y);
    losses.push(item(await toHost(loss) as HostTensor));
    state = await apply(gradient, state);
  }
  return { state: await toHost(state), losses };
}

/** The updates in workers, from the beginning; the starts that it took. */
async function trainInWorkers(
  python: PythonEnvironment,
  { digits, work, killedAt }: { readonly digits: string; readonly work: string; readonly killedAt?: number },
): Promise<Trained & { readonly starts: readonly Start[] }> {
  const [checkpoint, report] = [`${work}/own_cell.safetensors`, `${work}/parallel.json`];
  await Deno.remove(checkpoint).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const args = [Deno.execPath(), digits, checkpoint, report];
  await python.run("parallel.py", ...args, ...killedAt === undefined ? [] : [String(killedAt)]);
  const starts: Start[] = JSON.parse(await Deno.readTextFile(report));
  const { state } = await readState(checkpoint);
  const { from, workers } = starts[starts.length - 1];
  const losses = Array.from(
    { length: UPDATES - from },
    (_, index) => workers.reduce((sum, { losses }) => sum + losses[from + index], 0) / workers.length,
  );
  return { state, losses, starts };
}

/**
 * Runs this part of the example.
 *
 * @param digits The file of the digits, as main.ts wrote it.
 * @param work The folder of the checkpoint and the report.
 */
export async function trainOwnCell(
  samples: Digits,
  { digits, work, python }: {
    readonly digits: string;
    readonly work: string;
    readonly python: PythonEnvironment;
  },
  log: Log,
): Promise<void> {
  log(`\na cell of one's own, data-parallel: ${UPDATES} updates from ${GLOBAL_BATCH} digits each`);
  const alone = await trainAlone(samples);
  const parallel = await trainInWorkers(python, { digits, work });
  const { workers } = parallel.starts[0];
  for (const { rank, pid } of workers) {
    log(`  worker ${rank}, process ${pid}: ${GLOBAL_BATCH / WORKERS} of them`);
  }
  claim(log, new Set(workers.map(({ pid }) => pid)).size === WORKERS, "two workers have computed gradients");
  const differs = ({ state }: Trained, other: Trained) => largestDifference(state.params, other.state.params);
  claim(
    log,
    differs(parallel, alone) < 1e-5,
    `they end as one process with the whole batches does, to ${differs(parallel, alone).toExponential(0)}`,
  );
  const [first, last] = [parallel.losses[0], parallel.losses[UPDATES - 1]];
  claim(log, last < first, `the loss of a batch has fallen from ${first.toFixed(4)} to ${last.toFixed(4)}`);
  const largest = Math.max(...parallel.losses.map((loss, update) => Math.abs(loss - alone.losses[update])));
  claim(log, largest < 1e-5, "every update had the loss that one process has, to 1e-5");

  const survived = await trainInWorkers(python, { digits, work, killedAt: KILLED_AT });
  const [lost, again] = survived.starts;
  claim(
    log,
    lost.lost !== null && survived.starts.length === 2,
    `killed at update ${KILLED_AT}, worker 1 is lost`,
  );
  claim(
    log,
    again.from > 0 && again.from <= KILLED_AT,
    `started again, both go on from the checkpoint after ${again.from} updates`,
  );
  claim(log, differs(survived, parallel) === 0, "they end with the same weights, bit for bit");
}
