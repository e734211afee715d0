/** How long the first train step takes, including shader compilation, and how many dispatches it has. */
import { createTrainer, type Device, init, item, key, toHost } from "@cellfold/cellfold";
import type { Values } from "../support/measurements.ts";
import { timed, type Trial } from "../support/messages.ts";
import type { FirstCallTask } from "../support/tasks.ts";
import { dataFor, lossOf, modelOf } from "./models.ts";

/** A trial of one run, from the model to the loss of its first step. */
export function firstCallTrial(task: FirstCallTask, device: Device | undefined): Trial {
  const data = dataFor(task, 1);
  const model = modelOf(task);
  const variables = init(model, key(0), data.x);
  return {
    run: async () => {
      using trainer = createTrainer(model, { ...lossOf(task), device });
      let report = "";
      const time = await timed(1, async () => {
        const session = trainer.session("fit", variables, data);
        const train = session.train();
        const [, , , , loss] = await train(
          variables.params,
          variables.state,
          trainer.initOptimizer(variables),
          session.objective.initState(),
          key(0),
          data,
        );
        if (!Number.isFinite(item(await toHost(loss)))) {
          throw new Error("The loss is no number");
        }
        report = train.explain();
      });
      const [, dispatches] = /: (\d+) dispatches/.exec(report) ?? [];
      const values: Values = dispatches === undefined ? {} : { dispatches: Number(dispatches) };
      return { time, values };
    },
    [Symbol.dispose]: () => {},
  };
}
