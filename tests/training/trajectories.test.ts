import { assert, assertEquals } from "@std/assert";
import { bidirectional } from "../../src/layers/bidirectional.ts";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { dense, type DenseOptions } from "../../src/layers/dense.ts";
import { embedding, type EmbeddingOptions } from "../../src/layers/embedding.ts";
import { gru, type GruOptions } from "../../src/layers/gru.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { lstm, type LstmOptions } from "../../src/layers/lstm.ts";
import type { RecurrentLayer } from "../../src/layers/rnn.ts";
import { sequential } from "../../src/models/sequential.ts";
import { type HostTensor, specOf, type Tensor } from "../../src/tensor/tensor.ts";
import { toHost } from "../../src/tree/to_host.ts";
import { mapTree, type Tree } from "../../src/tree/tree.ts";
import { fit } from "../../src/training/fit.ts";
import { binaryCrossentropy, type Loss, sparseCategoricalCrossentropy } from "../../src/training/losses.ts";
import type { MetricLike } from "../../src/training/resolve_metric.ts";
import { adam, type Optimizer, rmsprop, sgd } from "../../src/training/optimizers.ts";
import { evaluate, predict } from "../../src/training/predict.ts";
import { createTrainer, type TrainingState } from "../../src/training/trainer.ts";
import {
  assertClose,
  camelCase,
  mayReadCases,
  type OracleCase,
  oracleCases,
  type OracleTensors,
  scalarOf,
  tensorOf,
} from "../support/oracle.ts";

/** A class of Keras with its options. */
interface Described {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What the training cases say beside what all cases do. */
interface TrainingConfig {
  readonly layers: readonly Described[];
  readonly optimizer: Described;
  readonly loss: Described;
  readonly metrics: readonly MetricLike[];
  readonly batch_size: number;
  readonly epochs: number;
}

/** Losses and metrics of a step are plain numbers. */
type Numbers = Readonly<Record<string, number>>;

function optionsOf(config: Described["config"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [camelCase(name), value]));
}

// The casts: an oracle's config holds the options that its class has.
const layerFactories: Readonly<Record<string, (options: Record<string, unknown>) => Layer>> = {
  LSTM: (options) => lstm(options as unknown as LstmOptions),
  GRU: (options) => gru(options as unknown as GruOptions),
  Dense: (options) => dense(options as unknown as DenseOptions),
  Embedding: (options) => embedding(options as unknown as EmbeddingOptions),
  BatchNormalization: (options) => batchNormalization(options),
  Bidirectional: ({ layer, mergeMode }) =>
    bidirectional(make(layerFactories, layer as Described) as RecurrentLayer, {
      mergeMode: mergeMode as "concat",
    }),
};
const optimizerFactories: Readonly<Record<string, (options: object) => Optimizer>> = {
  SGD: sgd,
  RMSprop: rmsprop,
  Adam: adam,
};
const lossFactories: Readonly<Record<string, (options: object) => Loss>> = {
  SparseCategoricalCrossentropy: sparseCategoricalCrossentropy,
  BinaryCrossentropy: binaryCrossentropy,
};

function make<T>(
  factories: Readonly<Record<string, (options: Record<string, unknown>) => T>>,
  { class_name, config }: Described,
): T {
  return factories[class_name](optionsOf(config));
}

/** `<layer>/<name>` of the oracle as the trees of a sequential model; batch-norm statistics go to its state. */
function variablesOf(model: Layer, weights: OracleTensors, x: HostTensor): Variables {
  const params = (model.layers ?? []).map((): Record<string, unknown> => ({}));
  const statistics = new Map<string, HostTensor>();
  for (const [path, value] of Object.entries(weights)) {
    const [layer, ...names] = path.split("/").map(camelCase);
    const name = names.pop() ?? "";
    if (name.startsWith("moving")) statistics.set([layer, name].join(), tensorOf(value));
    else {
      let node = params[Number(layer)];
      for (const part of names) node = (node[part] ??= {}) as Record<string, unknown>; // made just here
      node[name] = tensorOf(value);
    }
  }
  const tree = params as Tree<Tensor>; // filled above
  const state = mapTree(
    model.initState(tree, specOf(x)),
    (leaf: Tensor, path): Tensor => statistics.get(path.join()) ?? leaf,
  );
  return { params: tree, state };
}

/** The weight that the oracle calls `path`. */
function weightAt({ params, state }: Variables, path: string): HostTensor {
  const parts = path.split("/").map(camelCase);
  let node: unknown = parts.at(-1)?.startsWith("moving") ? state : params;
  for (const part of parts) node = (node as Record<string, unknown>)[part]; // the path is that of a tensor
  return node as HostTensor;
}

function assertWeights(actual: Variables, expected: OracleTensors, what: string): void {
  for (const [path, value] of Object.entries(expected)) {
    assertClose(weightAt(actual, path), value, 1e-4, `${what}, ${path}`);
  }
}

function assertLogs(actual: Numbers, expected: Numbers, what: string): void {
  assertEquals(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, value] of Object.entries(expected)) {
    const wanted = { shape: [], dtype: "float32", data: [value] };
    assertClose(scalarOf(actual[name]), wanted, 1e-4, `${what}, ${name}`);
  }
}

async function trainSteps({ config, weights, steps, inputs, outputs }: OracleCase): Promise<void> {
  const { layers, optimizer, loss, metrics } = config as unknown as TrainingConfig; // as the format says
  const model = sequential(layers.map((layer) => make(layerFactories, layer) as Layer<Tensor>));
  using trainer = createTrainer(model, {
    loss: make(lossFactories, loss),
    optimizer: make(optimizerFactories, optimizer),
    metrics,
  });
  let live: TrainingState = {
    variables: variablesOf(model, weights, tensorOf(steps[0].inputs?.x ?? inputs.x)),
  };
  for (const [index, step] of steps.entries()) {
    const { x, y, sample_weight } = step.inputs ?? {};
    const trained = await trainer.trainOnBatch(live, {
      x: tensorOf(x),
      y: tensorOf(y),
      ...(sample_weight && { sampleWeight: tensorOf(sample_weight) }),
    });
    live = trained;
    assertLogs(trained.logs, step.outputs as unknown as Numbers, `step ${index}`); // numbers in these cases
    assertWeights(await toHost(trained.variables), step.weights_after, `step ${index}`);
  }
  if (!outputs.inference) return;
  const output = await trainer.predictOnBatch(live.variables, tensorOf(inputs.x_eval));
  assertClose(output as HostTensor, outputs.inference, 1e-4, "inference"); // one output
}

const trained = mayReadCases
  ? (await oracleCases("training")).filter(({ layer }) => layer === "Sequential.train")
  : [];

for (const testCase of trained) {
  Deno.test(`training follows Keras: ${testCase.name}`, () => trainSteps(testCase));
}

Deno.test({
  name: "training follows Keras step by step, with the losses, metrics and weights of the oracle",
  ignore: !mayReadCases,
  fn: () => assert(trained.length >= 15),
});

/** What a `fit` case has beside. */
interface FitCase extends OracleCase {
  readonly history: Readonly<Record<string, readonly number[]>>;
  readonly weights_after: OracleTensors;
}

Deno.test({
  name: "fit follows Keras: history, weights, evaluate and predict, with a smaller last batch",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("training")).filter(({ layer }) =>
      layer === "Sequential.fit"
    ) as FitCase[];
    assert(cases.length > 0);
    for (const { config, weights, inputs, history, weights_after, outputs } of cases) {
      const { layers, optimizer, loss, metrics, batch_size, epochs } = config as unknown as TrainingConfig;
      const model = sequential(layers.map((layer) => make(layerFactories, layer) as Layer<Tensor>));
      const objective = { loss: make(lossFactories, loss), metrics };
      const data = { x: tensorOf(inputs.x), y: tensorOf(inputs.y) };
      const fitted = await fit(model, variablesOf(model, weights, data.x), data, {
        ...objective,
        optimizer: make(optimizerFactories, optimizer),
        batchSize: batch_size,
        epochs,
        shuffle: false,
        validation: { x: tensorOf(inputs.x_val), y: tensorOf(inputs.y_val) },
        report: "none",
      });
      for (let epoch = 0; epoch < epochs; epoch++) {
        const at = (logs: Readonly<Record<string, readonly number[]>>) =>
          Object.fromEntries(Object.entries(logs).map(([name, values]) => [name, values[epoch]]));
        assertLogs(at(fitted.history), at(history), `epoch ${epoch}`);
      }
      assertWeights(fitted.variables, weights_after, "after fit");
      const logs = await evaluate(model, fitted.variables, data, { ...objective, batchSize: batch_size });
      assertLogs(logs, outputs.evaluate as unknown as Numbers, "evaluate"); // numbers
      assertClose(
        await predict(model, fitted.variables, tensorOf(inputs.x_eval)),
        outputs.predict,
        1e-4,
        "predict",
      );
    }
  },
});
