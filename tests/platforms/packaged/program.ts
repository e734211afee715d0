/** What a user of the package writes: a model is trained and predicts. Types are checked strictly where it is installed. */
import * as cf from "@cellfold/cellfold";

/** The losses of each epoch, and a prediction; the same on all hosts, but for the order of sums. */
export async function program(): Promise<number[]> {
  const model = cf.sequential([cf.lstm({ units: 4 }), cf.dense({ units: 2, activation: "softmax" })]);
  const x: cf.Tensor = cf.normal(cf.key(1), [32, 5, 3]);
  const y = cf.cast(cf.greater(cf.sum(x, { axes: [1, 2] }), 0), "int32");
  const variables = cf.init(model, cf.key(2), cf.spec([null, 5, 3]));
  const options: cf.FitOptions = {
    loss: "sparseCategoricalCrossentropy",
    optimizer: "adam",
    epochs: 3,
    report: "none",
  };
  const trained = await cf.fit(model, variables, { x, y }, options);
  const predicted = await cf.predict(model, trained.variables, cf.ones([1, 5, 3]));
  using stream = cf.streaming(model, trained.variables);
  const stepped = await cf.toHost(await stream.step(cf.ones([1, 3])));
  return [...trained.history.loss, ...predicted.data, ...stepped.data];
}
