/** The workloads of the benchmark: what each measures, which peers can do the same, and its targets. */
import type { Peer } from "./support/measurements.ts";
import type { Target } from "./support/targets.ts";
import type { ModelTask, NestedTask, PairsTask, Task, Variant } from "./support/tasks.ts";

/** One row of the table. */
export interface Workload {
  readonly name: string;
  /** One line for people to read. */
  readonly measures: string;
  readonly task: Task;
  /** The threads of Cellfold. */
  readonly threads: number;
  /** The peers that can do the same. */
  readonly peers: readonly Peer[];
  /** Peers that run with one number of threads; for the others the better of 1 and 2 counts. */
  readonly peerThreads?: Partial<Record<Peer, number>>;
  readonly targets: readonly Target[];
  /** The targets on the device native; absent if there are none, and it is not measured there. */
  readonly native?: readonly Target[];
  /** A number of runs that replaces the requested one, if a run takes long. */
  readonly runs?: number;
  /** Whether each run has a fresh process. */
  readonly freshProcess?: boolean;
  /** Flags of V8 for Cellfold's process. */
  readonly v8Flags?: readonly string[];
  /** The device of Cellfold, if it is always this one. */
  readonly device?: string;
  /** Whether Cellfold's process may start others and write files. */
  readonly startsProcesses?: boolean;
}

/** The guide's model: handwritten digits, row by row. */
export const GUIDE = { cell: "lstm", batch: 64, time: 28, features: 28, units: 64 } as const;
/** A long sequence. */
export const LONG = { cell: "lstm", batch: 64, time: 100, features: 128, units: 256 } as const;
const NESTED = {
  kind: "nested",
  batch: 64,
  time: 50,
  inputs: [32, 64, 32],
  units: [10, 20, 30],
} as const satisfies Omit<NestedTask, "readsState">;

const MEGABYTE = 1 << 20;

const peer = (peer: Peer, mustReach: number, aim?: number): Target => ({
  kind: "peer",
  peer,
  mustReach,
  aim,
});

const guideTask = (changes: Partial<ModelTask> = {}): ModelTask => ({ kind: "train", ...GUIDE, ...changes });

/** Models that leave Keras's fast path, compared with the same step on it. */
function cliff(
  variant: Variant,
  measures: string,
  { mustReach = 1.25, native = 1.1, parts }: {
    readonly mustReach?: number;
    readonly native?: number;
    readonly parts?: number;
  } = {},
): Workload {
  return {
    name: `cliff/${variant}`,
    measures: `guide/train with ${measures}`,
    task: guideTask({ variant }),
    threads: 2,
    peers: [],
    targets: [{ kind: "workload", workload: "guide/train", mustReach, aim: 1.1, parts }],
    native: [{ kind: "workload", workload: "guide/train", mustReach: native, aim: 1, parts }],
  };
}

/** Flags with which V8 computes pairs of vectors as one, on x64 with AVX2. */
const PAIRING = ["--experimental-wasm-revectorize", "--no-wasm-bounds-checks"];

/** A workload on wasm in an engine that pairs vectors. */
function wide(
  workload: string,
  task: Task,
  targets: readonly Target[],
  peers: readonly Peer[] = [],
): Workload {
  return {
    name: `wide/${workload}`,
    measures: `${workload} with V8's flags for vectors of 256 bits`,
    task,
    threads: 2,
    peers,
    v8Flags: PAIRING,
    device: "wasm-wide",
    targets,
  };
}

/** V8 would grow its young generation by megabytes at some point, however little is kept. */
const FIXED_YOUNG_GENERATION = ["--min-semi-space-size=1", "--max-semi-space-size=1"];

const PAIRS = {
  kind: "pairs",
  layers: 2,
  units: 128,
  features: 32,
  batch: [1, 64],
  time: [5, 300],
  pairs: 200,
  warmUps: 0,
} as const satisfies PairsTask;

/**
 * Small steps on one thread with cold caches. What is prepared for a pair depends on the Program alone, so that it takes
 * as long for small sizes as for large ones, beside whose steps it could not be measured.
 */
export function newPair(name: string, mustReach: number, others: readonly Target[] = []): Workload {
  return {
    name,
    measures: "a step with each of 200 random pairs of batch 1–8 and time 5–30; the first call beyond that",
    task: { ...PAIRS, batch: [1, 8], time: [5, 30], warmUps: 50, coldBytes: 64 << 20 },
    threads: 1,
    peers: [],
    runs: 1,
    targets: [{ kind: "value", value: "a new pair, beyond its work", unit: "ms", mustReach }, ...others],
  };
}

/** All of them, in the order of the table. */
export const workloads: readonly Workload[] = [
  {
    name: "guide/train",
    measures: "a step of fit: LSTM of 64 units over 28 × 28, batch normalization, ten logits; batch 64",
    task: guideTask(),
    threads: 2,
    peers: ["pytorch", "jax", "keras", "jax-js", "tfjs-wasm"],
    targets: [peer("jax-js", 0.1), peer("tfjs-wasm", 0.035)],
    native: [peer("pytorch", 0.65, 0.5), peer("keras", 0.35), peer("jax", 0.6)],
  },
  {
    name: "guide/predict",
    measures: "the same model, a prediction for a batch of 64, from the host to the host",
    task: guideTask({ kind: "predict" }),
    threads: 2,
    peers: ["onnxruntime-node", "onnxruntime-web", "keras", "pytorch", "tfjs-wasm"],
    targets: [peer("onnxruntime-web", 0.4)],
    native: [peer("onnxruntime-node", 1.2, 0.9), peer("pytorch", 0.7)],
  },
  {
    name: "guide/predict-one",
    measures: "the same for one digit, on one thread (as onnxruntime-node)",
    task: guideTask({ kind: "predict", batch: 1 }),
    threads: 1,
    peers: ["onnxruntime-node", "onnxruntime-web", "pytorch"],
    peerThreads: { "onnxruntime-node": 1 },
    targets: [peer("onnxruntime-web", 0.45)],
    native: [peer("onnxruntime-node", 0.6, 0.4)],
  },
  {
    name: "long/train",
    measures: "a step of fit: LSTM of 256 units over 100 steps of 128; batch 64",
    task: { kind: "train", ...LONG },
    threads: 2,
    peers: ["jax", "keras", "pytorch"],
    targets: [],
    native: [peer("pytorch", 0.95, 0.85), peer("keras", 0.45), peer("jax", 0.75)],
  },
  {
    name: "long/predict",
    measures: "the same model, a prediction for a batch of 64",
    task: { kind: "predict", ...LONG },
    threads: 2,
    peers: ["onnxruntime-web", "keras", "onnxruntime-node", "pytorch"],
    targets: [peer("onnxruntime-web", 0.55, 0.45)],
    native: [peer("pytorch", 1.1, 0.95), peer("onnxruntime-node", 1.3)],
  },
  wide("guide/train", guideTask(), [{
    kind: "workload",
    workload: "guide/train",
    mustReach: 0.85,
    aim: 0.7,
  }]),
  wide("guide/predict", guideTask({ kind: "predict" }), [peer("onnxruntime-web", 0.3)], ["onnxruntime-web"]),
  wide("long/predict", { kind: "predict", ...LONG }, [peer("onnxruntime-web", 0.42)], ["onnxruntime-web"]),
  {
    name: "nested/train",
    measures: "a step of fit with adam: the guide's nested cell, 50 steps; batch 64",
    task: { ...NESTED, readsState: false },
    threads: 2,
    peers: ["tf_keras"],
    targets: [peer("tf_keras", 0.1, 0.03)],
    native: [peer("tf_keras", 0.03, 0.02)],
  },
  {
    name: "nested-state/train",
    measures: "the same, the loss reading the final states too",
    task: { ...NESTED, readsState: true },
    threads: 2,
    peers: ["tf_keras"],
    targets: [peer("tf_keras", 0.5, 0.4)],
  },
  {
    name: "gru/train",
    measures: "guide/train with a GRU",
    task: guideTask({ cell: "gru" }),
    threads: 2,
    peers: ["pytorch"],
    targets: [peer("pytorch", 0.9, 0.6)],
    native: [peer("pytorch", 0.3, 0.2)],
  },
  {
    name: "simple/train",
    measures: "guide/train with a simple recurrent cell",
    task: guideTask({ cell: "simple" }),
    threads: 2,
    peers: ["pytorch"],
    targets: [peer("pytorch", 0.9, 0.6)],
    native: [peer("pytorch", 0.3, 0.2)],
  },
  {
    name: "own-lstm/train",
    measures: "guide/train with an LSTM that a user wrote, gate by gate",
    task: guideTask({ variant: "own-cell" }),
    threads: 2,
    peers: [],
    targets: [{ kind: "workload", workload: "guide/train", mustReach: 1.1, aim: 1 }],
    native: [{ kind: "workload", workload: "guide/train", mustReach: 1.1, aim: 1 }],
  },
  cliff("elu", "the activation elu"),
  cliff("hard-sigmoid", "the recurrent activation hardSigmoid"),
  cliff("recurrent-dropout", "recurrent dropout of 0.2"),
  cliff("no-bias", "no bias"),
  cliff("unroll", "unroll"),
  cliff("mask-holes", "a mask with holes"),
  cliff("bidirectional", "both directions, each counted by itself", { parts: 2 }),
  cliff("layer-norm", "layer normalization in the cell", { mustReach: 1.6, native: 1.35 }),
  {
    name: "tiny/step",
    measures: "stream.push of one step to a GRU of 4 units",
    task: { kind: "stream", features: 4, units: 4 },
    threads: 1,
    peers: [],
    targets: [{ kind: "time", mustReach: 0.003, aim: 0.001 }],
  },
  {
    name: "compile",
    measures: "from guide/train's function to its first step, less that step; each run in a fresh process",
    task: { ...GUIDE, kind: "compile", otherTime: 2800 },
    threads: 2,
    peers: [],
    freshProcess: true,
    native: [{ kind: "time", mustReach: 1500, aim: 800 }],
    targets: [
      { kind: "time", mustReach: 120, aim: 60 },
      // Addresses are encoded in as many bytes as they need, so code for a longer sequence is a few bytes
      // larger.
      { kind: "value", value: "code for 2800 steps, by that for 28", unit: "×", mustReach: 1.01, aim: 1 },
    ],
  },
  {
    name: "epoch",
    measures: "an epoch of fit over 60,000 digits, validated on 10,000",
    task: { ...GUIDE, kind: "epoch", samples: 60_000, validation: 10_000 },
    threads: 2,
    peers: ["keras"],
    runs: 3,
    targets: [peer("keras", 0.5, 0.35)],
    native: [peer("keras", 0.33, 0.25)],
  },
  {
    name: "life/predict",
    measures: "predict in a loop: the guide's model with 16 units, batch 4",
    task: { ...GUIDE, kind: "predictLoop", batch: 4, units: 16, calls: 300 },
    threads: 1,
    peers: [],
    targets: [{
      kind: "value",
      value: "beyond 1.5 × predictOnBatch",
      unit: "µs",
      mustReach: 50,
      aim: 0,
    }],
  },
  {
    name: "life/step",
    measures: "stream.step of a GRU of 4 units, from array to array",
    task: { kind: "stepInto", features: 4, units: 4, steps: 1_000_000 },
    threads: 1,
    peers: [],
    // A young generation that is never collected in a run, so that whatever is allocated is seen.
    v8Flags: ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"],
    targets: [
      { kind: "time", mustReach: 0.0006, aim: 0.0004 },
      { kind: "value", value: "allocated", unit: "bytes a step", mustReach: 0, aim: 0 },
    ],
  },
  {
    name: "life/sessions",
    measures: "a step of 256 sessions together, GRU of 64 units",
    task: { kind: "sessions", features: 16, units: 64, sessions: 256 },
    threads: 1,
    peers: [],
    targets: [{ kind: "value", value: "time, by that one by one", unit: "×", mustReach: 0.1, aim: 0.1 }],
  },
  {
    name: "life/data",
    measures:
      "a step of fit from an async iterable, 10 GB in batches of 1 MB made on the fly: GRU of 64 units",
    task: {
      kind: "feed",
      cell: "gru",
      batch: 64,
      time: 64,
      features: 64,
      units: 64,
      batches: 10_000,
      inArray: 100,
    },
    threads: 2,
    peers: [],
    runs: 1,
    targets: [
      { kind: "value", value: "time, by that from an array", unit: "×", mustReach: 1.05, aim: 1 },
      { kind: "value", value: "growth of memory", unit: "bytes a batch", mustReach: 1000, aim: 0 },
    ],
  },
  {
    name: "life/pairs",
    measures:
      "a step with each of 200 random pairs of batch 1–64 and time 5–300: 2 × LSTM of 128 units, one trainer",
    task: PAIRS,
    threads: 2,
    peers: [],
    runs: 1,
    targets: [
      { kind: "workload", workload: "life/largest-pair", value: "resident memory", mustReach: 1.25, aim: 1 },
    ],
  },
  {
    name: "life/largest-pair",
    measures: "the largest pair of life/pairs alone",
    task: { ...PAIRS, largestOnly: true },
    threads: 2,
    peers: [],
    runs: 1,
    targets: [],
  },
  newPair("life/new-pair", 1, [
    { kind: "value", value: "all compilation, by that of the first step", unit: "×", mustReach: 2, aim: 1 },
  ]),
  {
    name: "life/streams",
    measures: "a step in each of 1,000 streams of one model of 21 MB, all open: LSTM of 1,024 units",
    task: { kind: "streams", features: 256, units: 1024, streams: 1000 },
    threads: 2,
    peers: [],
    runs: 1,
    v8Flags: FIXED_YOUNG_GENERATION,
    targets: [
      { kind: "value", value: "held by all, by what they may", unit: "×", mustReach: 1 },
      { kind: "value", value: "one more stream opens in", unit: "ms", mustReach: 0.2 },
    ],
  },
  {
    name: "life/dropped",
    measures: "making a model, training it for a step and dropping it, 300 times: LSTM of 256 units",
    task: { kind: "dropped", batch: 8, time: 10, features: 256, units: 256, models: 300 },
    threads: 2,
    peers: [],
    runs: 1,
    v8Flags: FIXED_YOUNG_GENERATION,
    targets: [{ kind: "value", value: "memory kept", unit: "bytes", mustReach: 20e6, aim: 0 }],
  },
  {
    name: "life/killed",
    measures: "from one kill to the next of a run that is killed at 50 random moments and resumed",
    task: { kind: "killed", moments: 50, seed: 1 },
    threads: 1,
    peers: [],
    runs: 1,
    startsProcesses: true,
    targets: [{ kind: "value", value: "runs that ended otherwise", unit: "runs", mustReach: 0 }],
  },
  {
    name: "memory/steps",
    measures: "resident memory over 10,000 steps of guide/train, after the first 1,000",
    task: { ...GUIDE, kind: "growth", steps: 10_000, settling: 1000, every: 500 },
    threads: 2,
    peers: [],
    runs: 1,
    v8Flags: FIXED_YOUNG_GENERATION,
    targets: [{ kind: "value", value: "growth of memory", unit: "bytes a step", mustReach: 100, aim: 0 }],
  },
  {
    name: "memory/checkpoint",
    measures: "a step over a sequence of 20,000, LSTM of 64 units, batch 8, with checkpointEvery",
    task: { kind: "checkpoint", batch: 8, time: 20_000, features: 28, units: 64, checkpointEvery: 125 },
    threads: 2,
    peers: [],
    runs: 3,
    targets: [{
      kind: "value",
      value: "planned memory",
      unit: "bytes",
      mustReach: 32 * MEGABYTE,
      aim: 16 * MEGABYTE,
    }],
  },
];

/** Those that are measured on the device native, with their targets there: for a long life, those of wasm. */
export const nativeWorkloads: readonly Workload[] = workloads.flatMap((workload) => {
  const targets = workload.native ?? (workload.name.startsWith("life/") ? workload.targets : undefined);
  return targets === undefined ? [] : [{ ...workload, targets }];
});
