/** Whether models that were trained and then dropped give their memory back. */
import { createTrainer, dense, type Device, init, key, lstm, sequential } from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { timed, type Trial } from "../support/messages.ts";
import { slope } from "../support/statistics.ts";
import type { DroppedTask } from "../support/tasks.ts";
import { collectAll, heldBytes } from "./memory.ts";

/** Models of so many sizes take turns. */
const SIZES = 10;
/** After how many models garbage is collected: nothing else in so short a time would make V8 do it. */
const EVERY = 20;
/**
 * How many are dropped before memory is first read. Between two collections 20 models hold about 100 MB; V8, the C
 * allocator and a WebAssembly memory keep the room of the largest such peak, which is reached after some 100 models.
 */
const SETTLING = 5 * EVERY;

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
  const dropped = async (from: number, count: number): Promise<readonly [models: number, bytes: number]> => {
    for (let index = from; index < from + count; index++) await trainOne(index);
    await collectAll();
    return [from + count, heldBytes()];
  };
  return {
    run: async () => {
      const settling = Math.min(SETTLING, models);
      for (let from = 0; from < settling; from += EVERY) {
        await dropped(from, Math.min(EVERY, settling - from));
      }
      const readings: (readonly [models: number, bytes: number])[] = [[0, heldBytes()]];
      const total = await timed(1, async () => {
        for (let from = 0; from < models; from += EVERY) {
          readings.push(await dropped(from, Math.min(EVERY, models - from)));
        }
      });
      const bytes = readings.map(([, bytes]) => bytes);
      return {
        time: total / models,
        // By the line through all readings: two of them differ by what happens to be garbage of the C allocator.
        values: {
          "memory kept": models * slope(readings),
          "by the first and the last reading": bytes[bytes.length - 1] - bytes[0],
          "resident memory": Math.max(...bytes),
        },
      };
    },
    [Symbol.dispose]: () => {},
  };
}
