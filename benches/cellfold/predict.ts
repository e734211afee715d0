/** A prediction from a batch on the host to logits on the host, with the weights on the device. */
import { createTrainer, type Device, init, key } from "@cellfold/cellfold";
import { disposeTree } from "../../src/training/dispose.ts";
import { repeated, type Trial } from "../support/messages.ts";
import type { ModelTask } from "../support/tasks.ts";
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
    disposeTree(state);
  };
  return await repeated(step, () => {
    disposeTree([variables.params, variables.state]);
    trainer[Symbol.dispose]();
  });
}
