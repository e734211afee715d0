/**
 * A softmax or sigmoid with anything behind it that only rearranges is trained as its logits are: with logits far
 * beyond what probabilities in float32 can tell, where a clipped loss would be 16.1 and its gradient 0.
 */
import { assert, assertAlmostEquals } from "@std/assert";
import { activation } from "../../src/layers/activation.ts";
import { bidirectional } from "../../src/layers/bidirectional.ts";
import { dense } from "../../src/layers/dense.ts";
import { dropout } from "../../src/layers/dropout.ts";
import { flatten } from "../../src/layers/flatten.ts";
import { masking } from "../../src/layers/masking.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { reshapeLayer } from "../../src/layers/reshape.ts";
import { rnn } from "../../src/layers/rnn.ts";
import { simpleRnn } from "../../src/layers/simple_rnn.ts";
import { timeDistributed } from "../../src/layers/time_distributed.ts";
import { apply, call, input } from "../../src/models/nodes.ts";
import { model } from "../../src/models/graph.ts";
import { init } from "../../src/models/init.ts";
import { sequential } from "../../src/models/sequential.ts";
import type { RecurrentCell } from "../../src/cells/cell.ts";
import { type Activation, resolveActivation } from "../../src/operations/activations.ts";
import { add, mul, sigmoid } from "../../src/operations/elementwise.ts";
import { key as randomKey, normal } from "../../src/operations/random.ts";
import { softmax } from "../../src/operations/reduction.ts";
import { concat, reverse, sliceAxis } from "../../src/operations/structure.ts";
import { zeros } from "../../src/operations/creation.ts";
import { type HostTensor, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { fit } from "../../src/training/fit.ts";
import { binaryCrossentropy, sparseCategoricalCrossentropy } from "../../src/training/losses.ts";
import { sgd } from "../../src/training/optimizers.ts";
import { flattenTree } from "../../src/tree/tree.ts";

const [TIME, FEATURES] = [6, 4];

type SumCell = RecurrentCell<{ readonly scale: Tensor }, Tensor, Tensor, Tensor>;

/** A cell of one's own: the scaled sum of what it was given, activated when it is put out. */
const sumCell = (activate: Activation): SumCell => ({
  type: "sumCell",
  options: {},
  initParams: () => ({ scale: tensor([1, -1, 0.5, 2]) }),
  initState: (_, { shape }) => zeros(shape),
  step: ({ scale }) => (state, x) => {
    const next = add(state, mul(x, scale));
    return [activate(next), next];
  },
});

/** Models of `[batch, 6, 4]` that put out `[batch, steps, classes]`, given the activation of their head. */
const taggers: Readonly<Record<string, (activate: Activation) => Layer>> = {
  "timeDistributed(dense)": (activate) =>
    sequential([timeDistributed(dense({ units: 3, activation: activate }))]),
  "timeDistributed(activation)": (activate) =>
    sequential([dense({ units: 3 }), timeDistributed(activation(activate))]),
  "timeDistributed(sequential)": (activate) =>
    sequential([
      timeDistributed(
        sequential([dense({ units: 5, activation: "relu" }), dense({ units: 3, activation: activate })]),
      ),
    ]),
  "reshape": (activate) =>
    sequential([
      flatten(),
      dense({ units: 6 }),
      reshapeLayer({ targetShape: [2, 3] }),
      activation(activate),
      reshapeLayer({ targetShape: [1, 2, 3] }),
      reshapeLayer({ targetShape: [2, -1] }),
    ]),
  "flattened and split again": (activate) =>
    sequential([dense({ units: 3, activation: activate }), flatten(), reshapeLayer({ targetShape: [6, 3] })]),
  "a function in a graph": (activate) => {
    const x = input([TIME, FEATURES]);
    const p = apply(activate, call(dense({ units: 3 }), x));
    return model({ inputs: x, outputs: apply((p: Tensor) => sliceAxis(reverse(p, 1), 1, 1, 4), p) });
  },
  "two heads joined in time": (activate) => {
    const x = input([TIME, FEATURES]);
    const heads = [2, 1].map(() => call(dense({ units: 3, activation: activate }), x));
    return model({
      inputs: x,
      outputs: apply((a: Tensor, b: Tensor) => concat([a, b], { axis: 1 }), ...heads),
    });
  },
  "the outputs of a cell": (activate) => sequential([rnn(sumCell(activate), { returnSequences: true })]),
  "a cell backwards": (activate) =>
    sequential([rnn(sumCell(activate), { returnSequences: true, goBackwards: true })]),
  "behind a layer that is not trained": (activate) =>
    sequential([dense({ units: 3, activation: activate }), dropout({ rate: 0 }), activation("linear")]),
  "behind layers with a mask": (activate) =>
    sequential([
      masking(),
      dense({ units: 3, activation: activate }),
      dropout({ rate: 0 }),
      timeDistributed(reshapeLayer({ targetShape: [1, 3] })),
      timeDistributed(flatten()),
      activation("linear"),
    ]),
};

const makers = {
  softmax: () => ["softmax", softmax, (x: Tensor) => softmax(x)] as const,
  sigmoid: () => ["sigmoid", sigmoid, (x: Tensor) => sigmoid(x)] as const,
};

for (const kind of ["softmax", "sigmoid"] as const) {
  for (const [name, make] of Object.entries(taggers)) {
    Deno.test(`${kind} is trained by its logits: ${name}`, async () => {
      const x = mul(normal(randomKey(1), [4, TIME, FEATURES]), 300) as HostTensor; // eager
      x.data.fill(0, (TIME - 2) * FEATURES, TIME * FEATURES); // steps to be masked
      const plain = make((x) => x);
      const variables = init(plain, randomKey(2), x);
      const { output } = plain.apply(variables, x, { training: false });
      const shape = (output as Tensor).shape.map(Number);
      const loss = kind === "softmax" ? sparseCategoricalCrossentropy : binaryCrossentropy;
      const y = kind === "softmax"
        ? tensor(Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => i % shape[2]), {
          shape: shape.slice(0, 2),
        })
        : tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i % 2), { shape });
      const train = (model: Layer, fromLogits: boolean) =>
        fit(model, variables, { x, y }, {
          loss: loss({ fromLogits }),
          optimizer: sgd({ learningRate: 1e-3 }),
          batchSize: 3,
          epochs: 2,
          device: "reference",
          report: "none",
        });
      const expected = await train(plain, true);
      assert(expected.history.loss[0] > 20, `${expected.history.loss}`);
      for (const activate of makers[kind]()) {
        const found = await train(make(resolveActivation(activate as Activation)), false); // a name or a function
        found.history.loss.forEach((loss, epoch) =>
          assertAlmostEquals(loss / expected.history.loss[epoch], 1, 1e-6)
        );
        const weights = (given: typeof found) =>
          flattenTree<HostTensor>(given.variables.params).leaves.flatMap(({ data }) => [...data]);
        const others = weights(expected);
        weights(found).forEach((weight, i) =>
          assertAlmostEquals(weight, others[i], 1e-5 * (1 + Math.abs(others[i])))
        );
      }
    });
  }
}

Deno.test("one step, its classes last, of a cell and of recurrent layers", async () => {
  const x = mul(normal(randomKey(3), [4, TIME, FEATURES]), 100) as HostTensor; // eager
  const y = tensor([0, 1, 2, 3], { dtype: "int32" });
  const models: ((activate: Activation) => Layer)[] = [
    (activate) => sequential([rnn(sumCell(activate))]),
    (activate) => sequential([bidirectional(rnn(sumCell(activate)), { mergeMode: "concat" })]),
    (activate) => sequential([simpleRnn({ units: 4, activation: activate })]),
  ];
  const losses = async (make: (activate: Activation) => Layer) => {
    const run = async (model: Layer, fromLogits: boolean) => {
      const { history } = await fit(model, init(make((x) => x), randomKey(4), x), { x, y }, {
        loss: sparseCategoricalCrossentropy({ fromLogits }),
        optimizer: sgd(),
        device: "reference",
        report: "none",
      });
      return history.loss[0];
    };
    return [await run(make(softmax), false), await run(make((x) => x), true)];
  };
  const [found, expected] = await losses(models[0]);
  assertAlmostEquals(found / expected, 1, 1e-6);
  // Two directions joined along the classes are no softmax, and a state that goes through one is another state.
  for (const make of models.slice(1)) assert(Number.isFinite((await losses(make))[0]));
});
