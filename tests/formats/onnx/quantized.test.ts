/** Quantized models as onnxruntime's tools write them: read, equal to onnxruntime, and trained on in floats. */
import {
  compile,
  grad,
  host,
  type HostTensor,
  type Layer,
  mean,
  mul,
  sub,
  sum,
  type Tensor,
  tensor,
  type Tree,
  treeLeaves,
  valueAndGrad,
} from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { flattenTree, unflattenTree } from "../../../src/tree/tree.ts";
import { dataTypes } from "../../../formats/onnx/tensors.ts";
import { encodeModel } from "../../../formats/onnx/protos.ts";
import { mayRead, readNeeds } from "./support/fixtures.ts";
import { graphOf, node } from "./support/graphs.ts";
import { fileOfCase, type Listed, type QuantizedCase, quantizedCases } from "./support/quantized_cases.ts";

const tensorOf = ({ shape, data }: Listed) => tensor(data, { shape });

/** A case as a model of one tensor. */
function read(quantized: QuantizedCase) {
  const { model, variables } = fromOnnx(fileOfCase(quantized));
  return { model: model as Layer<Tensor>, variables };
}

function largestDifference(a: HostTensor, b: Listed): number {
  assertEquals([...a.shape], [...b.shape]);
  return Math.max(...b.data.map((value, index) => Math.abs(value - a.data[index])));
}

/**
 * A sum of quantized products is exact in onnxruntime and rounded here. Where such a sum is quantized again, it may end a
 * step beside, which is as large as the scale; one of 255 steps of values below 4.
 */
const ROUNDED = 1e-5, STEP = 4 / 255;
/** The quantized LSTM rounds its inputs and its state in each of 6 steps, which is not done here. */
const LSTM = 0.03;

Deno.test({
  name: `fromOnnx: quantized models compute what onnxruntime does${readNeeds}`,
  ignore: !mayRead,
  sanitizeResources: false, // the threads of a device outlive a test
  sanitizeOps: false,
  fn: async () => {
    for (const quantized of await quantizedCases()) {
      const { model, variables } = read(quantized);
      const x = tensorOf(quantized.x);
      const run = (x: Tensor) => model.apply(variables, x, { training: false }).output;
      using compiled = compile(run, { device: "wasm" });
      for (const y of [host(run(x)), host(await compiled(x))]) {
        const { name, exact } = quantized;
        const isStatic = /QDQ|QOperator/.test(name);
        const error = largestDifference(y, quantized.y);
        if (exact) assert(largestDifference(y, exact) <= ROUNDED, `${name}: ${largestDifference(y, exact)}`);
        assert(error <= (exact ? LSTM : isStatic ? STEP : ROUNDED), `${name}: ${error}`);
        if (isStatic) {
          const beside = quantized.y.data.filter((value, index) => Math.abs(value - y.data[index]) > ROUNDED);
          assert(beside.length <= 1, `${name}: ${beside.length} values of ${y.data.length} are another step`);
        }
      }
    }
  },
});

/** One step of gradient descent on what training changes. */
function descended(model: Layer, params: Tree<Tensor>, slopes: Tree<Tensor>, rate: number): Tree<Tensor> {
  const { leaves, structure } = flattenTree<Tensor>(params);
  const isTrained = model.trainableLeaves(params);
  const down = treeLeaves<Tensor>(slopes);
  const next = leaves.map((leaf, index) => isTrained[index] ? sub(leaf, mul(down[index], rate)) : leaf);
  return unflattenTree<Tree<Tensor>>(structure, next);
}

const falls = `fromOnnx: quantized weights are floats that training changes, and the loss falls${readNeeds}`;

Deno.test(falls, { ignore: !mayRead }, async () => {
  for (const quantized of await quantizedCases()) {
    const { model, variables } = read(quantized);
    const x = tensorOf(quantized.x),
      y = tensorOf({ ...quantized.y, data: quantized.y.data.map((v) => v + 0.3) });
    const loss = (params: Tree<Tensor>) => {
      const { output } = model.apply({ ...variables, params: params as never }, x, { training: true }); // its own params
      const error = sub(output, y);
      return mean(mul(error, error));
    };
    using step = compile(valueAndGrad(loss), { device: "reference" });
    const isTrained = model.trainableLeaves(variables.params);
    let params: Tree<Tensor> = variables.params;
    const losses: number[] = [];
    for (let count = 0; count < 12; count++) {
      const [value, slopes] = await step(params);
      losses.push(host(value).data[0]);
      params = descended(model, params, slopes, 0.3);
    }
    const [before, after] = [losses[0], losses[losses.length - 1]];
    assert(after < 0.97 * before, `${quantized.name}: the loss goes from ${before} to ${after}`);
    const [old, now] = [variables.params, params].map((tree) => treeLeaves<Tensor>(tree).map(host));
    old.forEach(({ dtype, data, shape }, index) => {
      assertEquals(dtype, "float32");
      const isWeight = shape.length > 1;
      const changes = String(data) !== String(now[index].data);
      assert(
        changes || !isWeight || !isTrained[index],
        `${quantized.name}: weights of ${shape} do not change`,
      );
    });
    assert(old.some(({ shape }) => shape.length > 1), `${quantized.name} has no weights`);
  }
});

/** A model `y = dequantize(w) · x`, with the weights of a byte each as initializers. */
function weightOnly(
  scale: readonly number[],
  zero: readonly number[],
  types: { weights: number; zero: number },
) {
  const raw = (name: string, dims: readonly number[], values: readonly number[], dataType: number) => ({
    name,
    dims: dims.map(BigInt),
    dataType,
    rawData: Uint8Array.from(values, (value) => value & 255),
  });
  const graph = graphOf({
    nodes: [
      node("DequantizeLinear", ["q", "scale", "zero"], ["w"], { axis: 1 }),
      node("MatMul", ["x", "w"], ["y"]),
    ],
    inputs: { x: tensor([[1, 2]]) },
    weights: { scale: tensor(scale) },
    outputs: { y: "float32" },
  });
  return encodeModel({
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      ...graph,
      initializer: [
        ...graph.initializer ?? [],
        raw("q", [2, 3], [-128, 5, 0, 127, 1, -7], types.weights),
        raw("zero", [zero.length], zero, types.zero),
      ],
    },
  });
}

const { int8, uint8 } = dataTypes;

Deno.test("fromOnnx: DequantizeLinear of weights is trained as the floats, with their gradient", () => {
  const { model, variables } = fromOnnx(
    weightOnly([0.5, 2, 0.25], [0, 3, -1], { weights: int8, zero: int8 }),
  );
  const params = variables.params as { readonly q: HostTensor }; // the weights of the file
  const floats = [-64, 4, 0.25, 63.5, -4, -1.5];
  assertEquals([...params.q.data], floats);
  const x = tensor([[0.5, -2]]);
  const run = (params: Tree<Tensor>) =>
    sum(model.apply({ ...variables, params: params as never }, x, { training: true }).output as Tensor);
  const slopes = grad(run)(params) as unknown as { readonly q: Tensor };
  assertEquals([...host(slopes.q).data], [0.5, 0.5, 0.5, -2, -2, -2]);
  // Between two whole numbers, where training may put a weight, its float counts.
  const between = tensor(floats.map((value) => value + 0.1), { shape: [2, 3] });
  const moved = host(run({ ...params, q: between })).data[0] - host(run(params)).data[0];
  assert(Math.abs(moved - 3 * 0.1 * (0.5 - 2)) < 1e-5, `${moved}`);
});

Deno.test("fromOnnx: wrong scales and zero points of quantized values are refused with their place", () => {
  const right = { weights: int8, zero: int8 };
  const place = "node 0 (DequantizeLinear)";
  for (const scale of [0, -1, NaN, Infinity]) {
    const bytes = weightOnly([1, scale, 1], [0, 0, 0], right);
    assertThrows(
      () => fromOnnx(bytes),
      Error,
      `${place}: its scale (input 1) has the element ${scale}, expected numbers above 0`,
    );
  }
  assertThrows(
    () => fromOnnx(weightOnly([1, 1], [0, 0], right)),
    Error,
    "its scale is float32[2], expected one number, or 3 of them",
  );
  assertThrows(() => fromOnnx(weightOnly([1, 1, 1], [0, 0], right)), Error, "its zero point is float32[2]");
  assertThrows(
    () => fromOnnx(weightOnly([1, 1, 1], [0, 0, 0], { weights: int8, zero: uint8 })),
    Error,
    `${place}: its zero point (input 2) is uint8, expected int8, as what it belongs to`,
  );
});
