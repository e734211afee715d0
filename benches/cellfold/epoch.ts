/** An epoch of `fit`, as a user calls it: compilation, shuffling and validation included. */
import { type Data, type Device, fit, init, key } from "@cellfold/cellfold";
import { timed, type Trial } from "../support/messages.ts";
import type { EpochTask } from "../support/tasks.ts";
import { loadMnist } from "../../examples/support/mnist_data.ts";
import { dataFor, lossOf, modelOf } from "./models.ts";

/** A trial whose runs are one call of `fit` each. */
export async function epochTrial(task: EpochTask, device: Device | undefined): Promise<Trial> {
  const [train, validation] = task.folder === undefined
    ? [task.samples, task.validation].map((samples) => dataFor({ ...task, batch: samples }, 1))
    : await digitsOf(task.folder);
  const variables = init(modelOf(task), key(0), train.x);
  const options = { ...lossOf(task), batchSize: task.batch, validation, device, report: "none" } as const;
  return {
    run: async () => {
      const model = modelOf(task); // a new one: for the same, nothing is compiled again
      return { time: await timed(1, () => fit(model, variables, train, options)) };
    },
    [Symbol.dispose]: () => {},
  };
}

/** MNIST, for training and for validation. */
async function digitsOf(folder: string): Promise<Data[]> {
  const { train, test } = await loadMnist({ data: folder });
  return [train, test].map(({ images, labels }) => ({ x: images, y: labels }));
}
