/** What regularizers and constraints do in training: the loss has their penalties, and updates end in them. */
import * as cf from "@cellfold/cellfold";
import type { Data, Layer, Tensor, Tree, Variables } from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";

const quiet = { loss: "mse", report: "none", shuffle: false, device: "wasm" } as const;

function random(seed: number, shape: readonly number[]): Tensor {
  return cf.normal(cf.key(seed), shape);
}

function valuesOf(tree: Tree<Tensor>): number[] {
  return cf.treeLeaves<Tensor>(tree).flatMap((leaf) => [...cf.host(leaf).data]);
}

function assertNear(actual: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  assertEquals(actual.length, expected.length);
  const errors = actual.map((value, index) =>
    Math.abs(value - expected[index]) / Math.max(1, Math.abs(expected[index]))
  );
  const worst = Math.max(...errors);
  assert(
    worst <= tolerance,
    `an error of ${worst}: ${actual.slice(0, 5)} instead of ${expected.slice(0, 5)}`,
  );
}

/** A recurrent model with these options for its layers. */
function recurrent(options: object = {}, ofDense: object = {}): Layer<Tensor> {
  return cf.sequential([
    cf.bidirectional(cf.gru({ units: 3, returnSequences: true, ...options })),
    cf.lstm({ units: 4, ...options }),
    cf.dense({ units: 2, ...ofDense }),
  ]);
}

const data: Data = { x: random(1, [6, 5, 3]), y: random(2, [6, 2]) };

/** Steps by hand: the loss, a penalty of one's own, the gradient, the update. */
async function byHand(
  model: Layer<Tensor>,
  variables: Variables,
  penalty: (params: Tree<Tensor>, output: Tensor) => Tensor,
  after: (params: Tree<Tensor>) => Tree<Tensor> = (params) => params,
): Promise<{ losses: number[]; params: Tree<Tensor> }> {
  const optimizer = cf.adam({ learningRate: 0.03 });
  const step = await cf.compile((params: Tree<Tensor>, state: cf.OptimizerState, x: Tensor, y: Tensor) => {
    const lossOf = (params: Tree<Tensor>) => {
      const { output } = model.apply({ params, state: variables.state }, x, { training: true });
      return cf.add(cf.computeLoss(cf.meanSquaredError(), y, output), penalty(params, output));
    };
    const [loss, gradients] = cf.valueAndGrad(lossOf)(params);
    const [next, nextState] = optimizer.update(gradients, state, params);
    return [after(next), nextState, loss] as const;
  }, { device: "wasm" });
  let [params, state] = [variables.params, optimizer.init(variables.params)];
  const losses: number[] = [];
  for (let count = 0; count < 4; count++) {
    const [next, nextState, loss] = await cf.toHost(
      await step(params, state, data.x as Tensor, data.y as Tensor),
    );
    [params, state] = [next as Tree<Tensor>, nextState as cf.OptimizerState];
    losses.push(cf.item(loss));
  }
  step[Symbol.dispose]();
  return { losses, params };
}

/** The sum over all weights with this name. */
function overWeights(params: Tree<Tensor>, name: string, of: (weight: Tensor) => Tensor): Tensor {
  const terms = cf.getWeights({ params, state: [] }).filter(({ path }) => path.endsWith(`.${name}`));
  return terms.map(({ tensor }) => of(tensor)).reduce((a, b) => cf.add(a, b));
}

const optimizer = () => cf.adam({ learningRate: 0.03 });

Deno.test("training with regularizers is training with their sum added by hand", async () => {
  const regularized = recurrent(
    {
      kernelRegularizer: { l2: 0.1 },
      recurrentRegularizer: { l1: 0.05 },
      biasRegularizer: (b: Tensor) => cf.sum(cf.pow(b, 4)),
    },
    { activityRegularizer: { l1: 0.2, l2: 0.3 } },
  );
  const variables = cf.init(recurrent(), cf.key(3), cf.spec([null, null, 3]));
  const expected = await byHand(recurrent(), variables, (params, output) => {
    const [, , head] = params as readonly Tree<Tensor>[];
    const inner = (params as readonly Tree<Tensor>[]).slice(0, 2);
    assertEquals(cf.treeLeaves(head).length, 2);
    const terms = [
      cf.mul(overWeights(inner, "kernel", (w) => cf.sum(cf.square(w))), 0.1),
      cf.mul(overWeights(inner, "recurrentKernel", (w) => cf.sum(cf.abs(w))), 0.05),
      overWeights(inner, "bias", (w) => cf.sum(cf.pow(w, 4))),
      cf.div(cf.add(cf.mul(cf.sum(cf.abs(output)), 0.2), cf.mul(cf.sum(cf.square(output)), 0.3)), 6),
    ];
    return terms.reduce((a, b) => cf.add(a, b));
  });
  for (const device of ["wasm", "reference"] as const) {
    const options = { ...quiet, optimizer: optimizer(), epochs: 4, batchSize: 6, device };
    const { history, variables: after } = await cf.fit(regularized, variables, data, options);
    assertNear(history.loss, expected.losses);
    assertNear(valuesOf(after.params), valuesOf(expected.params), 1e-4);
  }
});

Deno.test("loops of one's own get the same penalties and constraints", async () => {
  const options = {
    kernelRegularizer: "l2",
    recurrentConstraint: { name: "maxNorm", maxValue: 0.8 },
    activityRegularizer: "l1",
  };
  const model = recurrent(options, { kernelConstraint: "nonNeg", kernelRegularizer: "orthogonal" });
  const variables = cf.init(model, cf.key(3), cf.spec([null, null, 3]));
  const expected = await byHand(
    model,
    variables,
    (params) =>
      cf.penaltyOf(
        model,
        params,
        model.apply({ params, state: variables.state }, data.x, { training: true }),
      ),
    (params) => cf.constrained(model, params),
  );
  const trained = { ...quiet, optimizer: optimizer(), epochs: 4, batchSize: 6 };
  const { history, variables: after } = await cf.fit(model, variables, data, trained);
  assertNear(history.loss, expected.losses);
  assertNear(valuesOf(after.params), valuesOf(expected.params), 1e-4);
  assert(valuesOf((after.params as { kernel: Tensor }[])[2].kernel).every((value) => value >= 0));
});

Deno.test("losses of epochs, validation and evaluate have the penalty of a sample, metrics and other losses none", async () => {
  const input = cf.input([3]);
  const make = (options: object) => {
    const first = cf.call(cf.dense({ units: 2, name: "first", ...options }), input);
    return cf.model({
      inputs: input,
      outputs: { a: first, b: cf.call(cf.dense({ units: 1, name: "second" }), first) },
    });
  };
  const [x, y] = [random(1, [7, 3]), { a: random(2, [7, 2]), b: random(3, [7, 1]) }];
  const plain = make({});
  const model = make({ kernelRegularizer: { l2: 0.5 }, activityRegularizer: { l1: 2 } });
  const variables = cf.init(plain, cf.key(1), cf.spec([null, 3]));
  const ofKernel = 0.5 *
    valuesOf((variables.params as { kernel: Tensor }[])[0].kernel).reduce(
      (sum, value) => sum + value ** 2,
      0,
    );
  const { a } = (await cf.predict(plain, variables, x)) as { a: Tensor };
  const penalty = ofKernel + 2 * valuesOf(a).reduce((sum, value) => sum + Math.abs(value), 0) / 7;
  const options = { loss: "mse", metrics: { a: ["mae"], b: [] } } as const;
  const before = await cf.evaluate(plain, variables, { x, y }, { ...options, batchSize: 3 });
  for (const batchSize of [7, 3, 1]) {
    const logs = await cf.evaluate(model, variables, { x, y }, { ...options, batchSize });
    assertEquals(Object.keys(logs), Object.keys(before));
    assertNear([logs.loss, logs.a_loss, logs.b_loss, logs.a_mae], [
      before.loss + penalty,
      before.a_loss,
      before.b_loss,
      before.a_mae,
    ]);
    const still = cf.sgd({ learningRate: 0 });
    const validation = { x, y };
    const { history } = await cf.fit(model, variables, { x, y }, {
      ...quiet,
      ...options,
      optimizer: still,
      epochs: 1,
      batchSize,
      validation,
    });
    assertNear([history.loss[0], history.val_loss[0]], [logs.loss, logs.loss]);
  }
});

Deno.test("a last batch of one sample has orthogonal outputs", async () => {
  const model = cf.dense({
    units: 2,
    useBias: false,
    activityRegularizer: { name: "orthogonal", factor: 3 },
  });
  const [x, y] = [random(1, [3, 2]), cf.zeros([3, 2])];
  const params = { kernel: cf.tensor([[1, 0], [0, 1]]) }; // so that the outputs are the inputs
  const [a, b, c, d, ...rest] = valuesOf(x);
  const ofFirst = 3 * Math.abs(a * c + b * d) / Math.sqrt((a ** 2 + b ** 2) * (c ** 2 + d ** 2));
  const error = [a, b, c, d, ...rest].reduce((sum, value) => sum + value ** 2, 0) / 6;
  // The penalty of an activity is one of a batch of 2, so half, and that of the last sample 0.
  const expected = error + ofFirst / 2 * 2 / 3;
  const still = cf.sgd({ learningRate: 0 });
  const options = { ...quiet, optimizer: still, epochs: 1, batchSize: 2 };
  const { history } = await cf.fit(model, { params, state: [] }, { x, y }, options);
  assertNear(history.loss, [expected]);
});

Deno.test("masked steps are neither in the loss nor in the penalty, whatever pads them", async () => {
  const model = cf.sequential([
    cf.masking({ maskValue: 9 }),
    cf.gru({ units: 2, returnSequences: true, activityRegularizer: { l2: 1 } }),
    cf.dense({ units: 1, activityRegularizer: { l1: 1 } }),
  ]);
  const variables = cf.init(model, cf.key(1), cf.spec([null, null, 2]));
  const short = random(1, [3, 4, 2]);
  const padded = cf.concat([short, cf.full([3, 2, 2], 9)], { axis: 1 });
  const loss = async (x: Tensor, steps: number) => {
    const y = cf.concat([random(2, [3, 4, 1]), cf.full([3, steps - 4, 1], 5)], { axis: 1 });
    return (await cf.evaluate(model, variables, { x, y }, { loss: "mse" })).loss;
  };
  assertNear([await loss(padded, 6)], [await loss(short, 4)]);
});

Deno.test("constraints of layers that are not trainable do not act", async () => {
  const frozen = cf.dense({ units: 2, kernelConstraint: "nonNeg", trainable: false });
  const model = cf.sequential([frozen, cf.dense({ units: 2, biasConstraint: "nonNeg" })]);
  const variables = cf.init(model, cf.key(5), cf.spec([null, 3]));
  const batch = { x: random(1, [4, 3]), y: cf.full([4, 2], -3) };
  const options = { ...quiet, optimizer: cf.sgd(), epochs: 2 };
  const { variables: after } = await cf.fit(model, variables, batch, options);
  const [before, kept] = [variables.params, after.params] as unknown as { kernel: Tensor; bias: Tensor }[][];
  assertEquals(valuesOf(kept[0].kernel), valuesOf(before[0].kernel));
  assert(valuesOf(before[0].kernel).some((value) => value < 0));
  assertEquals(valuesOf(kept[1].bias), [0, 0]);
});
