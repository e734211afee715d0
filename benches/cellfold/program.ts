/** The Program of a task, and the amount of computation in its products. */
import { createTrainer, init, key, mapTree, type Spec, type Tensor, treeLeaves } from "@cellfold/cellfold";
import { specOf } from "@cellfold/cellfold/internal";
import { type Sizes, sizesAt } from "../../kernels/lowering/kinds/kind.ts";
import { cpuFunctions, type CpuKernel } from "../../kernels/cpu/kernels.ts";
import type { Program } from "../../src/program/types.ts";
import type { ModelTask, NestedTask } from "../support/tasks.ts";
import { dataFor, lossOf, modelOf, nestedDataFor, nestedModel } from "./models.ts";
import { planProgram } from "./plan.ts";

/** The optimized Program of a task, and its inputs, of which the last `given` are the data of a step. */
export function programOf(
  task: ModelTask | NestedTask,
): { readonly program: Program; readonly inputs: readonly Tensor[]; readonly given: number } {
  const nested = task.kind === "nested";
  const data = nested ? nestedDataFor(task, 1) : dataFor(task, 1);
  const model = nested ? nestedModel(task) : modelOf(task);
  const variables = init(model, key(0), data.x);
  const objective = nested ? { loss: "mse", optimizer: "adam" } as const : lossOf(task);
  using trainer = createTrainer(model, objective);
  const [step, args] = task.kind === "predict"
    ? [trainer.predictor(variables, data.x), [variables.params, variables.state, data.x]] as const
    : (() => {
      const session = trainer.session("fit", variables, data);
      return [session.train(), [
        variables.params,
        variables.state,
        trainer.initOptimizer(variables),
        session.objective.initState(),
        key(0),
        data,
      ]] as const;
    })();
  const specs = args.map((arg) => mapTree(arg, (leaf: Spec) => specOf(leaf)));
  return {
    program: step.program(...specs),
    inputs: treeLeaves<Tensor>(args),
    given: treeLeaves<Tensor>(args.at(-1)).length,
  };
}

/** Multiplications and additions of a product; other operations are too few to count. */
export function flopsOf(kernel: CpuKernel, sizes: Sizes): number {
  const isProduct = kernel.kind === "packedMatmul" || kernel.kind === "longProduct";
  return isProduct ? 2 * cpuFunctions.workOf(kernel, sizes).cost : 0;
}

/** Multiplications and additions in the products of one step of a task, loops included. */
export function productFlops(task: ModelTask | NestedTask): number {
  const { program, inputs } = programOf(task);
  const { kernels, bindings } = planProgram(program, inputs.map(({ shape }) => shape.map(Number)), {
    threads: 1,
  });
  const sizes = sizesAt(bindings);
  const sum = (kernels: readonly CpuKernel[]): number =>
    kernels.reduce(
      (total, kernel) =>
        total +
        (kernel.kind === "scan" ? sizes.of(kernel.length) * sum(kernel.body) : flopsOf(kernel, sizes)),
      0,
    );
  return sum(kernels);
}
