/**
 * What a workload asks of a subject, as plain data: it is sent to the subject's process as JSON, including
 * `peers/peers.py`. Comparisons and targets are in `workloads.ts`.
 */

/** The cell of the recurrent layer. */
export type CellName = "lstm" | "gru" | "simple";

/** Changes to the guide's model with which Keras leaves its fast path, or the cell is user-defined. */
export type Variant =
  | "own-cell"
  | "elu"
  | "hard-sigmoid"
  | "recurrent-dropout"
  | "no-bias"
  | "unroll"
  | "mask-holes"
  | "bidirectional"
  | "layer-norm";

/** The guide's model: a recurrent layer over `[batch, time, features]`, batch normalization, ten logits. */
export interface ModelTask {
  /** One update by SGD on the crossentropy, or one prediction with input and output on the host. */
  readonly kind: "train" | "predict";
  readonly cell: CellName;
  readonly variant?: Variant;
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
}

/** One update by adam of the guide's nested cell, on the mean squared error. */
export interface NestedTask {
  readonly kind: "nested";
  readonly batch: number;
  readonly time: number;
  /** `[i1, i2, i3]`: the inputs are `[batch, time, i1]` and `[batch, time, i2, i3]`. */
  readonly inputs: readonly [number, number, number];
  readonly units: readonly [number, number, number];
  /** Whether the loss reads the final states too, not only the last outputs. */
  readonly readsState: boolean;
}

/** One step of a GRU whose state is carried and whose output is its next input. */
export interface StreamTask {
  readonly kind: "stream";
  readonly features: number;
  readonly units: number;
}

/** Steps of a stream from array to array, and what they allocate. */
export interface StepIntoTask extends Omit<StreamTask, "kind"> {
  readonly kind: "stepInto";
  readonly steps: number;
}

/** A step of many sessions together, beside a step of as many streams one by one. */
export interface SessionsTask extends Omit<StreamTask, "kind"> {
  readonly kind: "sessions";
  readonly sessions: number;
}

/** Compiling the train step of a model, in a fresh process. */
export interface CompileTask extends Omit<ModelTask, "kind"> {
  readonly kind: "compile";
  /** Another length, for which the code must have the same size. */
  readonly otherTime: number;
}

/** The first call of a model's train step, in a fresh process. */
export interface FirstCallTask extends Omit<ModelTask, "kind"> {
  readonly kind: "firstCall";
}

/** Resident memory from one train step to the next. */
export interface GrowthTask extends Omit<ModelTask, "kind"> {
  readonly kind: "growth";
  readonly steps: number;
  /** How many steps precede the first reading. */
  readonly settling: number;
  /** How many steps lie between readings of memory. */
  readonly every: number;
}

/** One update of an LSTM over a long sequence that stores few states. */
export interface CheckpointTask {
  readonly kind: "checkpoint";
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
  readonly checkpointEvery: number;
}

/** One epoch of `fit` with its validation. */
export interface EpochTask extends Omit<ModelTask, "kind"> {
  readonly kind: "epoch";
  readonly samples: number;
  readonly validation: number;
  /** A folder with the MNIST files; without it the digits are made up. */
  readonly folder?: string;
}

/** `predict` called in a loop, beside the same predictions of a trainer. */
export interface PredictLoopTask extends Omit<ModelTask, "kind"> {
  readonly kind: "predictLoop";
  readonly calls: number;
}

/** `fit` over batches from an async iterable, beside the same batches in an array. */
export interface FeedTask extends Omit<ModelTask, "kind"> {
  readonly kind: "feed";
  /** How many batches are made in all. */
  readonly batches: number;
  /** How many batches the array has; as many are read from the iterable between two epochs over it. */
  readonly inArray: number;
}

/** Train steps with pairs of batch and time, drawn at random, through one trainer: first calls and later ones. */
export interface PairsTask {
  readonly kind: "pairs";
  /** Recurrent layers of so many units each, one on the other. */
  readonly layers: number;
  readonly units: number;
  readonly features: number;
  /** The least and the most of each, both included. */
  readonly batch: readonly [least: number, most: number];
  readonly time: readonly [least: number, most: number];
  /** How many pairs are drawn. */
  readonly pairs: number;
  /** Whether only the largest of them, by batch × time, is trained with. */
  readonly largestOnly?: boolean;
  /** How many calls with the first pair precede the others, so that its code is optimized by then. */
  readonly warmUps: number;
  /** How much memory is written before each call, so that caches hold nothing of the one before; default: none. */
  readonly coldBytes?: number;
}

/** Streams through one LSTM, all open at once. */
export interface StreamsTask {
  readonly kind: "streams";
  readonly features: number;
  readonly units: number;
  readonly streams: number;
}

/** Models that are made, trained for one step and dropped, one after the other. */
export interface DroppedTask {
  readonly kind: "dropped";
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  /** The most units of a model; those in turn have a few fewer. */
  readonly units: number;
  readonly models: number;
}

/** A training run that is killed at random moments and resumed. */
export interface KilledTask {
  readonly kind: "killed";
  readonly moments: number;
  readonly seed: number;
}

/** Every task that a subject can be given. */
export type Task =
  | ModelTask
  | NestedTask
  | StreamTask
  | StepIntoTask
  | SessionsTask
  | CompileTask
  | FirstCallTask
  | GrowthTask
  | CheckpointTask
  | PredictLoopTask
  | FeedTask
  | PairsTask
  | StreamsTask
  | DroppedTask
  | KilledTask
  | EpochTask;

/**
 * The same task at sizes that any device finishes at once: for trying out the benchmark, never for figures.
 */
export function smallTask(task: Task): Task {
  const least = (size: number, most: number) => Math.min(size, most);
  switch (task.kind) {
    case "train":
    case "predict":
      return { ...task, ...smallModel(task) };
    case "compile":
    case "firstCall":
      return { ...task, ...smallModel(task), time: task.time };
    case "growth":
      return { ...task, ...smallModel(task), steps: 60, settling: 20, every: 10 };
    case "epoch":
      return { ...task, ...smallModel(task), samples: 20, validation: 8 };
    case "predictLoop":
      return { ...task, ...smallModel(task), calls: 20 };
    case "feed":
      return { ...task, ...smallModel(task), batches: 40, inArray: 5 };
    case "pairs":
      return { ...task, units: 4, features: 3, batch: [1, 4], time: [2, 6], pairs: 5, warmUps: 1 };
    case "streams":
      return { ...task, units: 4, features: 3, streams: 5 };
    case "dropped":
      return { ...task, batch: 2, time: 3, units: 4, features: 3, models: 5 };
    case "killed":
      return { ...task, moments: 1 };
    case "nested":
      return { ...task, batch: 4, time: 5, inputs: [3, 4, 2], units: [2, 3, 2] };
    case "stream":
      return task;
    case "stepInto":
      return { ...task, steps: 50 };
    case "sessions":
      return { ...task, features: 2, units: 3, sessions: 3 };
    case "checkpoint":
      return {
        ...task,
        time: least(task.time, 40),
        units: least(task.units, 4),
        features: least(task.features, 3),
        checkpointEvery: 7,
      };
  }
}

function smallModel({ batch }: { readonly batch: number }) {
  return { batch: Math.min(batch, 4), time: 5, features: 3, units: 4 };
}
