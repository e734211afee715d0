/** Whether memory grows from one train step to the next. */
import type { Device } from "@cellfold/cellfold";
import type { Trial } from "../support/messages.ts";
import { slope } from "../support/statistics.ts";
import type { GrowthTask } from "../support/tasks.ts";
import { dataFor, lossOf, modelOf } from "./models.ts";
import { STEPS, trainTrial } from "./train.ts";

/** Collects garbage now; available with `--v8-flags=--expose-gc`. */
export function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (!gc) throw new Error("Cannot collect garbage: run with --v8-flags=--expose-gc");
  gc();
}

/** Collects garbage until those who are told about it had several turns to free what they hold. */
export async function collectAll(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A trial of one run: many steps, with readings of the resident memory between them. */
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
        readings.push([done, Deno.memoryUsage().rss]);
      }
      return { time: total / done, values: { "growth of memory": slope(readings) } };
    },
    [Symbol.dispose]: () => {},
  };
}
