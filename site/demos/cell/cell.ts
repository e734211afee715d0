/**
 * Trains a cell that somebody has written: three functions, which are traced, differentiated and compiled as those of
 * the library are. What became of a step is explained as data.
 */
import * as cf from "@cellfold/cellfold";
import type { TaskName } from "./task_names.ts";
import { type Task, tasks } from "./tasks.ts";

/** What a program exports: a cell with any tree of parameters, and any tree as its state. */
export interface CellProgram {
  /** What is learned, drawn with a key, for inputs with so many features. */
  params(key: cf.Tensor, features: number): cf.Tree<cf.Tensor>;
  /** The state before the first step. */
  state(batch: cf.Dim, params: cf.Tree<cf.Tensor>): cf.Tree<cf.Tensor>;
  /** The step, `(state, input) => [output, state]`, with an input `[batch, features]`. */
  cell(params: cf.Tree<cf.Tensor>): cf.Cell<cf.Tree<cf.Tensor>, cf.Tensor, cf.Tensor>;
}

/** How it is trained. */
export interface TrainingSettings {
  readonly task: TaskName;
  readonly device: "wasm" | "webgpu";
  readonly learningRate: number;
  /** From which weights and data are drawn; default 0. */
  readonly seed?: number;
}

/** The program in a module's exports; throws for what is missing. */
export function programIn(exports: Partial<Record<keyof CellProgram, unknown>>): CellProgram {
  for (const name of ["params", "state", "cell"] as const) {
    if (typeof exports[name] !== "function") {
      throw new TypeError(
        `Cannot train the program: ${name} is ${typeof exports[name]}, expected an exported function`,
      );
    }
  }
  return exports as CellProgram; // checked just above
}

/** A layer that folds the program's cell over a sequence, and one that reads the answer from its output. */
function modelOf(program: CellProgram, { everyStep, outputs }: Task): cf.Layer<cf.Tensor> {
  const own: cf.RecurrentCell<cf.Tree<cf.Tensor>, cf.Tree<cf.Tensor>, cf.Tensor, cf.Tensor> = {
    type: "ownCell",
    options: {},
    initParams: (key, { shape: [, features] }) => program.params(key, Number(features)),
    initState: (params, { shape: [batch] }) => program.state(batch, params),
    step: (params) => {
      const step = program.cell(params);
      if (typeof step === "function") return step;
      throw new TypeError(
        `Cannot train the cell: cell(params) is ${typeof step}, expected (state, input) => [output, state]`,
      );
    },
  };
  return cf.sequential([cf.rnn(own, { returnSequences: everyStep }), cf.dense({ units: outputs })]);
}

/** A model in training. */
export interface Training extends Disposable {
  /** Numbers that are learned. */
  readonly weights: number;
  /** One step with a fresh batch; gives its loss. */
  step(): Promise<number>;
  /** What became of a step, once one was made. */
  explain(): cf.Explanation;
}

/** Begins to train; the program's functions are called now, and again when the first step is traced. */
export function begin(
  program: CellProgram,
  { task: name, learningRate, seed = 0 }: TrainingSettings,
  device: cf.Device,
): Training {
  const task = tasks[name]();
  const model = modelOf(program, task);
  const [forWeights, forData] = cf.splitKey(cf.key(seed), 2);
  const batchOf = (step: number) => task.batch(cf.foldIn(forData, step));
  const { x, y } = batchOf(0);
  const variables = cf.init(model, forWeights, x);
  const trainer = cf.createTrainer(model, {
    loss: task.loss,
    optimizer: cf.adam({ learningRate }),
    device,
  });
  const session = trainer.session("train", variables, { x, y }); // traces the model
  let [state, made]: [cf.TrainingState, number] = [{ variables }, 0];
  return {
    weights: cf.countParams(model, variables).total,
    async step() {
      const { variables, optimizerState, logs } = await trainer.trainOnBatch(state, batchOf(made++));
      state = { variables, optimizerState };
      return logs.loss;
    },
    explain: () => cf.explanation(session.trainKeepingInputs()),
    [Symbol.dispose]: () => trainer[Symbol.dispose](),
  };
}

/** Steps before kernels are measured, in which the engine compiles, and steps that are. */
const [WARM_UP, MEASURED] = [40, 160];

/**
 * What became of a training step. On wasm, its kernels are measured: the same code on one thread, which reads the clock
 * after each kernel. A GPU is not measured.
 */
export async function explainStep(program: CellProgram, settings: TrainingSettings): Promise<cf.Explanation> {
  const { device } = settings;
  const training = begin(program, settings, device === "wasm" ? { name: "wasm", profile: true } : device);
  try {
    if (device !== "wasm") {
      await training.step();
      return training.explain();
    }
    for (let step = 0; step < WARM_UP; step++) await training.step();
    const before = training.explain();
    for (let step = 0; step < MEASURED; step++) await training.step();
    const after = training.explain();
    return { ...after, measuredCalls: MEASURED, kernels: since(before.kernels, after.kernels) };
  } finally {
    training[Symbol.dispose]();
  }
}

type Kernels = cf.Explanation["kernels"];

/** Kernels with the milliseconds that were added. */
function since(before: Kernels, after: Kernels): Kernels {
  return after.map((kernel, index) => ({
    ...kernel,
    milliseconds: (kernel.milliseconds ?? 0) - (before[index].milliseconds ?? 0),
    body: since(before[index].body, kernel.body),
  }));
}
