/** Whether memory grows from one train step to the next. */
import type { Device } from "@cellfold/cellfold";
import type { Trial } from "../support/messages.ts";
import { slope } from "../support/statistics.ts";
import type { GrowthTask } from "../support/tasks.ts";
import { collect, heldBytes } from "./memory.ts";
import { dataFor, lossOf, modelOf } from "./models.ts";
import { STEPS, trainTrial } from "./train.ts";

/** A trial of one run: many steps, with readings of the memory held between them. */
export function growthTrial(task: GrowthTask, device: Device | undefined): Trial {
  return {
    run: async () => {
      using steps = await trainTrial(modelOf(task), dataFor(task, STEPS), {
        ...lossOf(task),
        batchSize: task.batch,
        warmUps: 0,
        device,
      });
      const readings: [steps: number, bytes: number][] = [];
      let [total, done] = [0, 0];
      while (done < task.steps) {
        total += STEPS * (await steps.run()).time;
        done += STEPS;
        if (done < task.settling || done % task.every >= STEPS) continue;
        collect();
        readings.push([done, heldBytes()]);
      }
      return { time: total / done, values: { "growth of memory": slope(readings) } };
    },
    [Symbol.dispose]: () => {},
  };
}
