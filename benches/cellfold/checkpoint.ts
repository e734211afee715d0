/** Training on a very long sequence that stores few states: the memory that its plan takes. */
import {
  at,
  compile,
  type Device,
  init,
  key,
  lstm,
  lstmCell,
  mean,
  mul,
  scan,
  square,
  sub,
  type Tensor,
  type Tree,
  treeLeaves,
  valueAndGrad,
} from "@cellfold/cellfold";
import { specOf, zipTrees } from "@cellfold/cellfold/internal";
import { noise } from "../../examples/support/section.ts";
import { timed, type Trial } from "../support/messages.ts";
import type { CheckpointTask } from "../support/tasks.ts";
import { planProgram } from "./plan.ts";

const LEARNING_RATE = 0.01;

interface Options {
  readonly device: Device | undefined;
  readonly threads: number;
}

/** A trial whose runs are one update each. */
export async function checkpointTrial(task: CheckpointTask, { device, threads }: Options): Promise<Trial> {
  const { batch, time, features, units, checkpointEvery } = task;
  const x = noise([batch, time, features]);
  const { params } = init(lstm({ units }), key(0), x);
  const cell = lstmCell({ units });
  const lossOf = (params: Tree<Tensor>, x: Tensor): Tensor => {
    const input = { shape: [batch, features], dtype: "float32" } as const;
    const step = cell.step(params, { training: true, input });
    const [outputs] = scan(step, cell.initState(params, input), x, { checkpointEvery });
    return mean(square(at(outputs, -1, { axis: 1 })));
  };
  const update = (params: Tree<Tensor>, x: Tensor): Tree<Tensor> => {
    const [, gradients] = valueAndGrad(lossOf)(params, x);
    return zipTrees(params, gradients, (p: Tensor, g: Tensor) => sub(p, mul(g, LEARNING_RATE)));
  };
  const compiled = compile(update, { device });
  const program = compiled.program(params, x);
  const shapes = treeLeaves<Tensor>([params, x]).map((leaf) => specOf(leaf).shape.map(Number));
  const { arena } = planProgram(program, shapes, { threads });
  await compiled(params, x);
  return {
    run: async () => ({
      time: await timed(1, () => compiled(params, x)),
      values: { "planned memory": arena.bytes },
    }),
    [Symbol.dispose]: () => compiled[Symbol.dispose](),
  };
}
