/** TensorFlow.js on its wasm or WebGPU backend as a subject of the benchmark. */
import { noise } from "../../examples/support/section.ts";
import { repeated, type Trial } from "../support/messages.ts";
import { askedBackend, askedThreads, serve } from "../support/serve.ts";
import type { ModelTask, Task } from "../support/tasks.ts";
import { importPeer, versionsOf } from "./versions.ts";

interface TfTensor {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

interface TfModel {
  add(layer: unknown): void;
  compile(options: { readonly loss: string; readonly optimizer: unknown }): void;
  trainOnBatch(x: TfTensor, y: TfTensor): Promise<unknown>;
  predictOnBatch(x: TfTensor): TfTensor;
  dispose(): void;
}

type LayerFactory = (options: { readonly [name: string]: unknown }) => unknown;

/** The part of TensorFlow.js that is used. */
interface TensorFlow {
  readonly layers: {
    readonly lstm: LayerFactory;
    readonly batchNormalization: LayerFactory;
    readonly dense: LayerFactory;
  };
  readonly train: { readonly sgd: (rate: number) => unknown };
  sequential(): TfModel;
  tensor(values: ArrayLike<number>, shape: readonly number[]): TfTensor;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
}

const tf = await importPeer<TensorFlow>("@tensorflow/tfjs");
const isGpu = askedBackend() === "webgpu";
const packageName = isGpu ? "@tensorflow/tfjs-backend-webgpu" : "@tensorflow/tfjs-backend-wasm";
const backend = await importPeer<{ setThreadsCount?(threads: number): void }>(packageName);
backend.setThreadsCount?.(askedThreads());
const name = isGpu ? "webgpu" : "wasm";
if (!await tf.setBackend(name)) throw new Error(`TensorFlow.js has no backend ${name} here`);
await tf.ready();

function modelOf({ time, features, units }: ModelTask): TfModel {
  const model = tf.sequential();
  model.add(tf.layers.lstm({ units, inputShape: [time, features], recurrentActivation: "sigmoid" }));
  model.add(tf.layers.batchNormalization({}));
  // Its crossentropy expects probabilities.
  model.add(tf.layers.dense({ units: 10, activation: "softmax" }));
  model.compile({ loss: "sparseCategoricalCrossentropy", optimizer: tf.train.sgd(0.01) });
  return model;
}

async function prepare(task: Task): Promise<Trial> {
  if ((task.kind !== "train" && task.kind !== "predict") || task.cell !== "lstm" || task.variant) {
    throw new Error("tfjs has only the guide's model");
  }
  const model = modelOf(task);
  const shape = [task.batch, task.time, task.features];
  const values = Float32Array.from(noise(shape).data);
  const labels = Float32Array.from({ length: task.batch }, (_, row) => row % 10);
  const train = async () => {
    const [x, y] = [tf.tensor(values, shape), tf.tensor(labels, [task.batch, 1])];
    await model.trainOnBatch(x, y); // reads the loss, which waits for the work before it
    x.dispose();
    y.dispose();
  };
  const predict = async () => {
    const x = tf.tensor(values, shape);
    const logits = model.predictOnBatch(x);
    await logits.data();
    logits.dispose();
    x.dispose();
  };
  return await repeated(task.kind === "train" ? train : predict, () => model.dispose());
}

await serve({ versions: versionsOf("@tensorflow/tfjs", packageName), prepare });
