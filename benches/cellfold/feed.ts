/** Training from an async iterable whose batches are made on the fly, beside training from an array. */
import { createTrainer, type Data, type Device, fitWith, hostTensor, init, key } from "@cellfold/cellfold";
import { timed, type Trial } from "../support/messages.ts";
import { median, slope } from "../support/statistics.ts";
import type { FeedTask } from "../support/tasks.ts";
import { collect, heldBytes } from "./memory.ts";
import { dataFor, lossOf, modelOf } from "./models.ts";

/** A trial of one run: epochs over the array and as many batches of the iterable take turns. */
export function feedTrial(task: FeedTask, device: Device | undefined): Trial {
  const data = dataFor(task, task.inArray);
  const model = modelOf(task);
  const variables = init(model, key(0), data.x);
  return {
    run: async () => {
      using trainer = createTrainer(model, { ...lossOf(task), device });
      const options = { report: "none" } as const;
      const fromArray = () => fitWith(trainer, variables, data, { ...options, batchSize: task.batch });
      const making = { milliseconds: 0 };
      const fromIterable = () => fitWith(trainer, variables, () => made(task, data, making), options);
      const times: [array: number[], iterable: number[], making: number[]] = [[], [], []];
      const readings: [batches: number, bytes: number][] = [];
      await timed(1, fromArray);
      await timed(1, fromIterable);
      for (let batches = 0; batches < task.batches; batches += task.inArray) {
        times[0].push(await timed(1, fromArray) / task.inArray);
        making.milliseconds = 0;
        times[1].push(await timed(1, fromIterable) / task.inArray);
        times[2].push(making.milliseconds / task.inArray);
        collect();
        readings.push([batches, heldBytes()]);
      }
      const [array, iterable, generator] = times.map(median);
      return {
        time: iterable,
        values: {
          "time, by that from an array": iterable / array,
          // The program's own work, which no library can take from the thread that it runs on.
          "the same without making the batches": (iterable - generator) / array,
          "making a batch, in ms": generator,
          "growth of memory": slope(readings),
        },
      };
    },
    [Symbol.dispose]: () => {},
  };
}

/** Batches of the same data, each in memory of its own, and the time that making them takes. */
async function* made(
  { batch, time, features, inArray }: FeedTask,
  { x, y }: ReturnType<typeof dataFor>,
  making: { milliseconds: number },
): AsyncGenerator<Data> {
  const size = batch * time * features;
  for (let index = 0; index < inArray; index++) {
    const began = performance.now();
    const values = x.data.slice(index * size, (index + 1) * size);
    const labels = y.data.slice(index * batch, (index + 1) * batch);
    making.milliseconds += performance.now() - began;
    yield await Promise.resolve({
      x: hostTensor(values, [batch, time, features]),
      y: hostTensor(labels, [batch]),
    });
  }
}
