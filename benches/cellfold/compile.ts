/** How long a train step takes to compile, and the size of its code. */
import {
  type Compiled,
  createTrainer,
  type Device,
  init,
  key,
  mapTree,
  type Spec,
  treeLeaves,
} from "@cellfold/cellfold";
import { specOf } from "@cellfold/cellfold/internal";
import type { TrainArguments, TrainResult } from "../../src/training/step.ts";
import { timed, type Trial } from "../support/messages.ts";
import type { CompileTask } from "../support/tasks.ts";
import { dataFor, lossOf, modelOf, type ModelShape } from "./models.ts";
import { planProgram } from "./plan.ts";

/** How many steps are timed; the least time counts. */
const LATER_STEPS = 10;

interface Options {
  readonly device: Device | undefined;
  readonly threads: number;
}

/** A trial of one run: the time from the model to the end of its first step, minus that of a later step. */
export function compileTrial(task: CompileTask, { device, threads }: Options): Trial {
  const data = dataFor(task, 1);
  const model = modelOf(task);
  const variables = init(model, key(0), data.x);
  const codeBytes = (shape: ModelShape): number => {
    using trainer = createTrainer(modelOf(shape), { ...lossOf(shape), device });
    const data = dataFor(shape, 1);
    const session = trainer.session("fit", variables, data);
    const args: TrainArguments = [
      variables.params,
      variables.state,
      trainer.initOptimizer(variables),
      session.objective.initState(),
      key(0),
      data,
    ];
    return codeOf(session.train(), args, threads);
  };
  return {
    run: async () => {
      using trainer = createTrainer(model, { ...lossOf(task), device });
      let state: Parameters<typeof trainer.trainOnBatch>[0] = { variables };
      const step = async () => {
        state = await trainer.trainOnBatch(state, data);
      };
      const first = await timed(1, step);
      let later = Infinity;
      for (let i = 0; i < LATER_STEPS; i++) later = Math.min(later, await timed(1, step));
      const bytes = await codeBytes(task);
      const other = await codeBytes({ ...task, time: task.otherTime });
      return {
        time: first - later,
        values: {
          "bytes of code": bytes,
          [`code for ${task.otherTime} steps, by that for ${task.time}`]: other / bytes,
        },
      };
    },
    [Symbol.dispose]: () => {},
  };
}

function codeOf(step: Compiled<TrainArguments, TrainResult>, args: TrainArguments, threads: number): number {
  const program = step.program(...mapTree(args, (leaf: Spec) => specOf(leaf)));
  const shapes = treeLeaves<{ readonly shape: readonly number[] }>(args).map(({ shape }) => shape);
  return planProgram(program, shapes, { threads }).emitted.bytes.length;
}
