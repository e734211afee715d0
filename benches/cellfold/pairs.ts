/**
 * What new sizes cost: train steps with pairs of batch and time drawn at random, through one trainer. The first call
 * with a pair, less the median of later ones, is what it takes to prepare for it. Data is made anew before each call,
 * so that caches are as cold and threads as asleep for later calls as for the first.
 */
import {
  createTrainer,
  type Data,
  dense,
  type Device,
  init,
  key,
  lstm,
  sequential,
  spec,
  type TrainingState,
} from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { timed, type Trial } from "../support/messages.ts";
import { median } from "../support/statistics.ts";
import type { PairsTask } from "../support/tasks.ts";
import { collectAll } from "./memory.ts";

type Pair = readonly [batch: number, time: number];

/** How many calls follow the first one with a pair. */
const LATER = 3;
/** How many pairs lie between readings of memory. */
const COLLECTED_EVERY = 10;
const OUTPUTS = 10;

/**
 * A trial of one run over all pairs, on wasm if no device is given: for large sizes `auto` would look for a graphics
 * processor, and what its driver takes is not what is measured.
 */
export function pairsTrial(task: PairsTask, device: Device = "wasm"): Trial {
  const pairs = pairsOf(task);
  const model = modelOf(task);
  return {
    run: async () => {
      using trainer = createTrainer(model, { loss: "mse", optimizer: "adam", device });
      let state: TrainingState = { variables: init(model, key(0), spec([null, null, task.features])) };
      const unrelated = new Uint8Array(task.coldBytes ?? 0);
      const stepOfNewData = async (pair: Pair) => {
        unrelated.fill((unrelated[0] ?? 0) + 1);
        const data = dataFor(task, pair);
        return await timed(1, async () => {
          state = await trainer.trainOnBatch(state, data);
        });
      };
      const [works, extras, memory]: [number[], number[], number[]] = [[], [], []];
      for (const [index, pair] of pairs.entries()) {
        const first = await stepOfNewData(pair);
        if (index === 0) { for (let call = 0; call < task.warmUps; call++) await stepOfNewData(pair); }
        const later: number[] = [];
        for (let call = 0; call < LATER; call++) later.push(await stepOfNewData(pair));
        works.push(median(later));
        extras.push(first - median(later));
        if (index % COLLECTED_EVERY > 0 && index < pairs.length - 1) continue;
        await collectAll();
        memory.push(Deno.memoryUsage().rss);
        await stepOfNewData(pair); // as it is before every other pair
      }
      const [compilation, ...others] = extras;
      const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
      return {
        time: sum(works) / works.length,
        values: {
          "resident memory": Math.max(...memory),
          "compilation of the first step, in ms": compilation,
          ...(others.length === 0 ? {} : {
            // By the median: a sum would add up the noise of steps that take far longer than their preparation.
            "all compilation, by that of the first step": 1 + others.length * median(others) / compilation,
            "a new pair, beyond its work": median(others),
          }),
        },
      };
    },
    [Symbol.dispose]: () => {},
  };
}

/** The pairs in the order of the draw, or the largest of them. */
function pairsOf({ batch, time, pairs, largestOnly = false }: PairsTask): readonly Pair[] {
  const { data } = noise([pairs, 2], 4);
  const between = ([least, most]: readonly [number, number], drawn: number) =>
    least + Math.floor(drawn * (most - least + 1));
  const drawn = Array.from(
    { length: pairs },
    (_, index): Pair => [between(batch, data[2 * index]), between(time, data[2 * index + 1])],
  );
  const size = ([batch, time]: Pair) => batch * time;
  return largestOnly ? [drawn.reduce((a, b) => size(b) > size(a) ? b : a)] : drawn;
}

function modelOf({ layers, units }: PairsTask) {
  const recurrent = Array.from(
    { length: layers },
    (_, index) => lstm({ units, returnSequences: index < layers - 1 }),
  );
  return sequential([...recurrent, dense({ units: OUTPUTS })]);
}

function dataFor({ features }: PairsTask, [batch, time]: Pair): Data {
  return { x: noise([batch, time, features], 1), y: noise([batch, OUTPUTS], 2) };
}
