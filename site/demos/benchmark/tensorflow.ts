/** TensorFlow.js on its WebAssembly backend as a subject of the benchmark, with the weights that all have. */
import type { HostTensor } from "@cellfold/cellfold";
import {
  CLASSES,
  FEATURES,
  type Given,
  LEARNING_RATE,
  type Subject,
  TIME,
  type Trial,
  UNITS,
} from "./workloads.ts";

type TensorFlow = typeof import("@tensorflow/tfjs");
type TfTensor = InstanceType<TensorFlow["Tensor"]>;

/** Where its WebAssembly is: with and without SIMD. */
export interface TensorFlowPaths {
  readonly plain: string;
  readonly simd: string;
}

/** Loads the library. */
export async function tensorflow({ plain, simd }: TensorFlowPaths): Promise<Subject> {
  const [tf, backend] = await Promise.all([
    import("@tensorflow/tfjs"),
    import("@tensorflow/tfjs-backend-wasm"),
  ]);
  // One thread, as the others have: then the build with threads is not loaded.
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  backend.setWasmPaths({
    "tfjs-backend-wasm.wasm": plain,
    "tfjs-backend-wasm-simd.wasm": simd,
    "tfjs-backend-wasm-threaded-simd.wasm": simd, // asked for, but not loaded
  });
  if (!await tf.setBackend("wasm")) throw new Error("TensorFlow.js has no WebAssembly in this browser");
  await tf.ready();
  return {
    name: `TensorFlow.js ${tf.version.tfjs}`,
    device: "WebAssembly",
    can: () => true,
    prepare: (given) => Promise.resolve(prepare(tf, given)),
  };
}

/** The gates in the order in which both have their weights. */
const GATES = ["i", "f", "g", "o"] as const;

/** An LSTM written gate by gate, as its users write cells: a class with named weights. */
function ownCell(tf: TensorFlow) {
  return class OwnLstm extends tf.layers.RNNCell {
    static className = "OwnLstm";
    stateSize = [UNITS, UNITS];
    readonly #gates: { read(): TfTensor }[][] = [];

    override build(): void {
      const zeros = tf.initializers.zeros();
      for (const gate of GATES) {
        const weight = (name: string, shape: number[]) =>
          this.addWeight(`${gate}-${name}`, shape, "float32", zeros);
        this.#gates.push([
          weight("kernel", [FEATURES, UNITS]),
          weight("recurrent", [UNITS, UNITS]),
          weight("bias", [UNITS]),
        ]);
      }
      this.built = true;
    }

    override call([x, h, c]: TfTensor[]) {
      return tf.tidy(() => {
        const [i, f, g, o] = this.#gates.map(([kernel, recurrent, bias]) =>
          tf.add(tf.add(tf.matMul(x, kernel.read()), tf.matMul(h, recurrent.read())), bias.read())
        );
        const nextC = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
        const nextH = tf.mul(tf.sigmoid(o), tf.tanh(nextC));
        return [nextH, nextH, nextC];
      });
    }
  };
}

type Weights = Readonly<Record<string, HostTensor>>;

/** The weights of each layer, in the order in which TensorFlow.js has them. */
function weightsOf({ workload, variables }: Given): readonly (readonly HostTensor[])[] {
  // The model is a sequence of three layers, of which the second has a state.
  const [recurrent, normalization, dense] = variables.params as unknown as readonly Weights[];
  const [, moving] = variables.state as unknown as readonly Weights[];
  const gates = recurrent as unknown as Readonly<Record<string, Weights>>; // those of a cell written gate by gate
  return [
    workload.cell === "own"
      ? GATES.flatMap((gate) => [gates[gate].kernel, gates[gate].recurrent, gates[gate].bias])
      : [recurrent.kernel, recurrent.recurrentKernel, recurrent.bias],
    [normalization.gamma, normalization.beta, moving.movingMean, moving.movingVariance],
    [dense.kernel, dense.bias],
  ];
}

function prepare(tf: TensorFlow, given: Given): Trial {
  const { workload, x, y } = given;
  const options = { inputShape: [TIME, FEATURES] };
  const zeros = "zeros" as const; // the weights follow
  const model = tf.sequential();
  model.add(
    workload.cell === "own" ? tf.layers.rnn({ ...options, cell: new (ownCell(tf))({}) }) : tf.layers.lstm({
      ...options,
      units: UNITS,
      recurrentActivation: "sigmoid",
      recurrentInitializer: zeros,
    }),
  );
  model.add(tf.layers.batchNormalization({}));
  model.add(tf.layers.dense({ units: CLASSES, activation: "softmax" }));
  weightsOf(given).forEach((weights, layer) =>
    tf.tidy(() =>
      model.layers[layer].setWeights(
        weights.map(({ data, shape }) => tf.tensor(Float32Array.from(data), shape.map(Number))),
      )
    )
  );
  model.compile({ loss: "sparseCategoricalCrossentropy", optimizer: tf.train.sgd(LEARNING_RATE) });
  const inputs = () => tf.tensor(Float32Array.from(x.data), x.shape.map(Number));
  const predict = async () => {
    const input = inputs();
    const output = model.predictOnBatch(input) as TfTensor; // one output
    const values = await output.data();
    tf.dispose([input, output]);
    return values;
  };
  const train = async () => {
    const [input, labels] = [inputs(), tf.tensor(Float32Array.from(y.data), [workload.batch, 1])];
    const loss = await model.trainOnBatch(input, labels);
    tf.dispose([input, labels]);
    return Number(loss);
  };
  const isTraining = workload.kind === "train";
  return {
    check: async () => isTraining ? [await train(), ...await predict()] : await predict(),
    step: isTraining ? train : predict,
    [Symbol.dispose]: () => void model.dispose(),
  };
}
