/** Numbers among the initializers are no weights: training leaves them alone, unless that is asked for. */
import { fit, type HostTensor, key, type Layer, sgd, type Tensor, tensor, uniform } from "@cellfold/cellfold";
import { fromOnnx, type FromOnnxOptions } from "@cellfold/cellfold/onnx";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileOf, node } from "./support/graphs.ts";

const x = tensor([[-1, 2], [0.5, -3]]);

/** `clip(x + fill, low, high) ** exponent · scale / (epsilon + mean square)^½ + bias`, as exporters spell such things. */
const bytes = fileOf({
  nodes: [
    node("Expand", ["fill", "shape"], ["filled"]),
    node("Add", ["x", "filled"], ["moved"]),
    node("Clip", ["moved", "low", "high"], ["clipped"]),
    node("Pow", ["clipped", "exponent"], ["square"]),
    node("Mul", ["square", "weights"], ["weighted"]),
    node("ReduceMean", ["weighted"], ["mean"], { axes: [1], keepdims: 1 }),
    node("Mul", ["mean", "mean"], ["variance"]),
    node("Add", ["variance", "epsilon"], ["positive"]),
    node("Sqrt", ["positive"], ["deviation"]),
    node("Div", ["weighted", "deviation"], ["normal"]),
    node("Mul", ["normal", "scale"], ["scaled"]),
    node("Add", ["scaled", "bias"], ["out"]),
  ],
  inputs: { x },
  ints: { shape: [1, 2] },
  weights: {
    fill: tensor([0.1]),
    low: tensor(-2),
    high: tensor(4),
    exponent: tensor([2, 2]),
    weights: tensor([1, 0.5]),
    epsilon: tensor([1e-3]),
    scale: tensor(3),
    bias: tensor([0.25]),
  },
  outputs: { out: "float32" },
  opset: 13,
});

const WEIGHTS = ["bias", "weights"];

/** The names of what a few steps change; the loss stays finite, or `fit` throws. */
async function changed(options: FromOnnxOptions, epochs = 5): Promise<string[]> {
  const { model, variables } = fromOnnx(bytes, options);
  const before = variables.params as Record<string, HostTensor>; // all are tensors here
  const trained = await fit(model as Layer<Tensor>, variables, { x, y: uniform(key(1), [2, 2]) }, {
    loss: "mse",
    optimizer: sgd({ learningRate: 0.01 }),
    epochs,
    report: "none",
    device: "reference",
  });
  const after = trained.variables.params as typeof before;
  return Object.keys(before).filter((name) => String(before[name].data) !== String(after[name].data)).sort();
}

Deno.test("fromOnnx: what is a number in a graph is not trained, unless it is asked for", async () => {
  assertEquals(await changed({}), WEIGHTS);
  assertEquals(await changed({ trainable: (name) => name !== "bias" }), ["weights"]);
  const all = await changed({ trainNumbers: true, trainable: (name) => !["low", "high"].includes(name) }, 1);
  assert(["epsilon", "exponent", "fill", "scale"].every((name) => all.includes(name)), all.join());
  const wrong = { trainNumbers: 1 } as unknown as FromOnnxOptions;
  assertThrows(() => fromOnnx(bytes, wrong), TypeError, "trainNumbers is the number 1");
});
