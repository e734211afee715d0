/** Whether models that were trained and then dropped give their memory back. */
import { createTrainer, dense, type Device, init, key, lstm, sequential } from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { timed, type Trial } from "../support/messages.ts";
import type { DroppedTask } from "../support/tasks.ts";
import { collectAll } from "./growth.ts";

/** Models of so many sizes take turns. */
const SIZES = 10;
/** After how many models garbage is collected: nothing else in so short a time would make V8 do it. */
const EVERY = 20;
/**
 * How many are dropped before memory is first read: V8 and a WebAssembly memory keep room for what was held between two
 * collections, however little of it is in use.
 */
const SETTLING = 2 * EVERY;

/** A trial of one run; nothing is disposed of in it. */
export function droppedTrial(task: DroppedTask, device: Device | undefined): Trial {
  const { batch, time, features, units, models } = task;
  const data = { x: noise([batch, time, features], 1), y: noise([batch, 1], 2) };
  const trainOne = async (index: number) => {
    const recurrent = lstm({ units: units - index % SIZES % units, recurrentInitializer: "glorotUniform" });
    const model = sequential([recurrent, dense({ units: 1 })]);
    const trainer = createTrainer(model, { loss: "mse", optimizer: "adam", device });
    await trainer.trainOnBatch({ variables: init(model, key(0), data.x) }, data);
  };
  const drop = async (count: number) => {
    for (let index = 0; index < count; index++) {
      await trainOne(index);
      if (index % EVERY === 0) await collectAll();
    }
    await collectAll();
  };
  return {
    run: async () => {
      await drop(SETTLING);
      const before = Deno.memoryUsage().rss;
      const total = await timed(1, () => drop(models));
      return { time: total / models, values: { "memory kept": Deno.memoryUsage().rss - before } };
    },
    [Symbol.dispose]: () => {},
  };
}
