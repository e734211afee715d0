/**
 * What is measured: models, weights and data that all libraries get alike. Sizes and the cell that a user wrote are those
 * of the repository's own benchmark.
 */
import {
  batchNormalization,
  dense,
  type HostTensor,
  hostTensor,
  init,
  key,
  type Layer,
  lstm,
  rnn,
  sequential,
  spec,
  type Variables,
} from "@cellfold/cellfold";
import { ownLstmCell } from "../../../benches/cellfold/cells.ts";
import { GUIDE } from "../../../benches/workloads.ts";
import { noise } from "../../../examples/support/section.ts";

/** Sizes of the model: handwritten digits of 28 rows of 28 pixels. */
export const { time: TIME, features: FEATURES, units: UNITS } = GUIDE;
export const CLASSES = 10;
/** The rate of gradient descent. */
export const LEARNING_RATE = 0.01;

/** What is measured. */
export interface Workload {
  readonly name: "predict" | "predict-one" | "own-predict" | "train" | "own-train";
  readonly kind: "predict" | "train";
  /** The LSTM that a library has, or one that is written gate by gate. */
  readonly cell: "lstm" | "own";
  readonly batch: number;
}

/** All of them, in the order of the page. */
export const workloads: readonly Workload[] = [
  { name: "predict", kind: "predict", cell: "lstm", batch: GUIDE.batch },
  { name: "predict-one", kind: "predict", cell: "lstm", batch: 1 },
  { name: "own-predict", kind: "predict", cell: "own", batch: GUIDE.batch },
  { name: "train", kind: "train", cell: "lstm", batch: GUIDE.batch },
  { name: "own-train", kind: "train", cell: "own", batch: GUIDE.batch },
];

/** What a library gets. */
export interface Given {
  readonly workload: Workload;
  readonly model: Layer;
  /** On the host. */
  readonly variables: Variables;
  /** `[batch, TIME, FEATURES]`. */
  readonly x: HostTensor;
  /** Labels, int32 `[batch]`. */
  readonly y: HostTensor;
}

/** The model, the same weights each time, and a batch. */
export function given(workload: Workload): Given {
  const { batch, cell } = workload;
  const recurrent = cell === "own" ? rnn(ownLstmCell(UNITS)) : lstm({ units: UNITS });
  const model = sequential([
    recurrent,
    batchNormalization(),
    dense({ units: CLASSES, activation: "softmax" }),
  ]);
  const labels = noise([batch], 2).data.map((value) => Math.floor(CLASSES * value));
  return {
    workload,
    model,
    variables: init(model, key(1), spec([null, TIME, FEATURES])),
    x: noise([batch, TIME, FEATURES], 1),
    y: hostTensor(Int32Array.from(labels), [batch]),
  };
}

/** A library that is ready to compute a workload. */
export interface Trial extends Disposable {
  /**
   * What the others must agree with, computed from the weights as they were given: the probabilities of a batch; after one
   * step of training its loss, then the probabilities by the new weights.
   */
  check(): Promise<ArrayLike<number>>;
  /** A prediction from the host to the host, or a step of training whose loss is read. */
  step(): Promise<unknown>;
}

/** A library on a device. */
export interface Subject {
  /** With its version, such as `onnxruntime-web 1.30.0`. */
  readonly name: string;
  readonly device: "WebAssembly" | "WebGPU";
  /** Whether it can do this at all. */
  can(workload: Workload): boolean;
  prepare(given: Given): Promise<Trial>;
}
