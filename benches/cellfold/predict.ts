/** Predictions from the host to the host: a batch with the weights on the device, and calls of `predict`. */
import { createTrainer, type Device, init, key, predict } from "@cellfold/cellfold";
import { disposeTree } from "../../src/training/dispose.ts";
import { repeated, timed, type Trial } from "../support/messages.ts";
import { median } from "../support/statistics.ts";
import type { ModelTask, PredictLoopTask } from "../support/tasks.ts";
import { dataFor, modelOf } from "./models.ts";

/** A trial that predicts the same batch repeatedly. */
export async function predictTrial(task: ModelTask, device: Device | undefined): Promise<Trial> {
  const model = modelOf(task);
  const { x } = dataFor(task, 1);
  const trainer = createTrainer(model, { device });
  const variables = await trainer.upload(init(model, key(0), x));
  const predict = trainer.predictor(variables, x);
  const step = async () => {
    const [, state] = await predict(variables.params, variables.state, x);
    disposeTree(state, variables.state);
  };
  return await repeated(step, () => {
    disposeTree([variables.params, variables.state]);
    trainer[Symbol.dispose]();
  });
}

/** A trial that calls `predict` repeatedly, and in turn the method of a trainer that it should not be far from. */
export async function predictLoopTrial(task: PredictLoopTask, device: Device | undefined): Promise<Trial> {
  const model = modelOf(task);
  const { x } = dataFor(task, 1);
  const variables = init(model, key(0), x);
  const trainer = createTrainer(model, { device });
  const calls = [
    () => predict(model, variables, x, { device }),
    () => trainer.predictOnBatch(variables, x),
  ];
  for (const call of calls) await timed(task.calls, call);
  return {
    run: async () => {
      const times: number[][] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, call] of calls.entries()) times[index].push(await timed(task.calls, call));
      }
      const [each, onBatch] = times.map(median);
      return { time: each, values: { "beyond 1.5 × predictOnBatch": 1000 * (each - 1.5 * onBatch) } };
    },
    [Symbol.dispose]: () => trainer[Symbol.dispose](),
  };
}

/** How often the two take turns in a run. */
const ROUNDS = 9;
