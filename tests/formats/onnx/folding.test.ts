/** Constant folding: what is computed from known values and sizes is known while a graph is traced, whatever computes it. */
import {
  type HostTensor,
  type Layer,
  outputSpecs,
  predict,
  sequential,
  type Spec,
  spec,
  type Tensor,
  tensor,
  zeros,
} from "@cellfold/cellfold";
import { fromOnnx, OnnxError } from "@cellfold/cellfold/onnx";
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { NodeProto, Partly } from "../../../formats/onnx/protos.ts";
import { dataTypes } from "../../../formats/onnx/tensors.ts";
import { fileOf, type GraphParts, node, signed } from "./support/graphs.ts";

const x = signed([2, 6], 1);

/** Nodes that compute the size 6 from that of `x`, all sizes of which are `shape`, the first `a` and the second `b`. */
const chains: { readonly [name: string]: readonly Partly<NodeProto>[] } = {
  Max: [node("Max", ["a", "b"], ["s"])],
  Min: [node("Min", ["b", "far"], ["s"])],
  ReduceMax: [node("ReduceMax", ["shape"], ["s"], { keepdims: 1 })],
  "ReduceSum and Sub": [
    node("ReduceSum", ["shape"], ["m"], { keepdims: 1 }),
    node("Sub", ["m", "two"], ["s"]),
  ],
  "ReduceProd and Div": [
    node("ReduceProd", ["shape"], ["m"], { keepdims: 1 }),
    node("Div", ["m", "a"], ["s"]),
  ],
  "Neg twice": [node("Neg", ["b"], ["m"]), node("Neg", ["m"], ["s"])],
  Abs: [node("Neg", ["b"], ["m"]), node("Abs", ["m"], ["s"])],
  Mod: [node("Mod", ["b", "seven"], ["s"])],
  "two axes": [
    node("Reshape", ["shape", "row"], ["m"]),
    node("Slice", ["m", "one", "far", "one"], ["n"]),
    node("Transpose", ["n"], ["p"], { perm: [1, 0] }),
    node("Reshape", ["p", "rest"], ["s"]),
  ],
  "floats that are rounded": [
    node("Cast", ["b"], ["f"], { to: dataTypes.float }),
    node("Div", ["f", "fraction"], ["g"]),
    node("Mul", ["g", "fraction"], ["h"]),
    node("Floor", ["h"], ["k"]),
    node("Cast", ["k"], ["s"], { to: dataTypes.int64 }),
  ],
  "Less and Where": [node("Less", ["a", "b"], ["c"]), node("Where", ["c", "b", "a"], ["s"])],
  "Greater as a number": [
    node("Greater", ["b", "a"], ["c"]),
    node("Cast", ["c"], ["m"], { to: dataTypes.int64 }),
    node("Mul", ["m", "b"], ["s"]),
  ],
  Expand: [node("Expand", ["b", "one"], ["s"])],
  Tile: [node("Tile", ["b", "one"], ["s"])],
  "Range and Gather": [
    node("Squeeze", ["b"], ["q"]),
    node("Range", ["start", "q", "step"], ["m"]),
    node("Gather", ["m", "five"], ["n"]),
    node("Add", ["n", "one"], ["s"]),
  ],
  NonZero: [
    node("NonZero", ["shape"], ["m"]),
    node("Shape", ["m"], ["n"]),
    node("Gather", ["n", "one"], ["k"]),
    node("Mul", ["k", "three"], ["s"]),
  ],
  Pow: [node("Pow", ["b", "one"], ["s"])],
  Pad: [node("Pad", ["b", "nothing"], ["s"])],
  "ConstantOfShape and Mul": [
    node("ConstantOfShape", ["one"], ["m"], { value: { tensor: tensor([1], { dtype: "int32" }) } }),
    node("Cast", ["m"], ["n"], { to: dataTypes.int64 }),
    node("Mul", ["n", "b"], ["s"]),
  ],
  Size: [node("Size", ["x"], ["m"]), node("Unsqueeze", ["m", "zero"], ["n"]), node("Div", ["n", "a"], ["s"])],
};

function graphOf(nodes: readonly Partly<NodeProto>[]): GraphParts {
  return {
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "zero"], ["a"]),
      node("Gather", ["shape", "one"], ["b"]),
      ...nodes,
      node("Concat", ["rest", "s"], ["wanted"], { axis: 0 }),
      node("Reshape", ["x", "wanted"], ["out"]),
    ],
    inputs: { x },
    ints: {
      one: [1],
      zero: [0],
      two: [2],
      three: [3],
      five: [5],
      seven: [7],
      row: [1, 2],
      rest: [-1],
      far: [100],
      start: 0,
      step: 1,
      nothing: [0, 0],
    },
    weights: { fraction: tensor([1.5]) },
    outputs: { out: "float32" },
    opset: 18,
  };
}

for (const [name, nodes] of Object.entries(chains)) {
  Deno.test(`fromOnnx: a shape is known that is computed by ${name}`, async () => {
    const { model, variables, run } = fromOnnx(fileOf(graphOf(nodes)));
    const given = { model: model as Layer<Tensor>, variables }; // one output
    assertEquals((await predict(given.model, given.variables, x, { device: "reference" })).shape, [2, 6]);
    assertEquals((await run({ x }, { device: "reference" })).out.shape, [2, 6]);
  });
}

Deno.test("predict: a graph of whole numbers that needs the batch as a number gets it, also inside of a model", async () => {
  const { model, variables } = fromOnnx(fileOf({
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("ReduceMax", ["shape"], ["most"], { keepdims: 1 }),
      node("Concat", ["rest", "most"], ["wanted"], { axis: 0 }),
      node("Reshape", ["x", "wanted"], ["squares"]),
      node("Cast", ["squares"], ["out"], { to: dataTypes.float }),
    ],
    inputs: { x: tensor([[1, 2, 3], [4, 5, 6]], { dtype: "int32" }) },
    ints: { rest: [-1] },
    outputs: { out: "float32" },
    opset: 17,
  }));
  const layer = sequential([model]);
  const given = { params: [variables.params], state: [variables.state] };
  for (const rows of [2, 3]) {
    const x = tensor(Int32Array.from({ length: rows * 3 }, (_, index) => index), { shape: [rows, 3] });
    const options = { device: "reference" } as const;
    assertEquals((await predict(model as Layer<Tensor>, variables, x, options)).shape, [rows, 3]);
    assertEquals((await predict(layer as Layer<Tensor>, given, x, options)).shape, [rows, 3]);
  }
});

Deno.test("NonZero: of values that are known at run time only it is refused", () => {
  const { model, variables } = fromOnnx(fileOf({
    nodes: [node("NonZero", ["x"], ["out"])],
    inputs: { x },
    outputs: { out: "int64" },
  }));
  const call = () =>
    outputSpecs((x: Tensor) => model.apply(variables, x, { training: false }).output, spec([2, 6]));
  assertThrows(call, OnnxError, "known only at run time");
});

Deno.test("fromOnnx: sizes that are open stay open where that is enough", () => {
  for (const name of ["Min", "Neg twice", "Pow", "Size"]) {
    const { model, variables } = fromOnnx(fileOf(graphOf(chains[name])));
    const output = (x: Tensor) => model.apply(variables, x, { training: false }).output as Tensor; // one output
    const [rows] = outputSpecs<Spec>(output, spec([null, 6])).shape;
    assertEquals(String(rows), "batch", name);
  }
});

Deno.test("fromOnnx: a number in the file that is no weight is known, and is no variable", () => {
  const parts = (weights: GraphParts["weights"]): GraphParts => ({
    nodes: [
      node("Cast", ["count"], ["whole"], { to: dataTypes.int64 }),
      node("Tile", ["x", "whole"], ["tiled"]),
      node("Mul", ["tiled", "w"], ["out"]),
    ],
    inputs: { x },
    weights,
    outputs: { out: "float32" },
  });
  const weights = { count: tensor([1, 2]), w: tensor([3, 3]) };
  const { variables, model } = fromOnnx(fileOf(parts({ ...weights, w: signed([12], 2) })));
  assertEquals(Object.keys(variables.params), ["w"]);
  const { output } = model.apply(variables, zeros([2, 6]), { training: false });
  assertEquals((output as HostTensor).shape, [2, 12]);
  const all = fromOnnx(fileOf(parts(weights)), { trainNumbers: true });
  assertEquals(Object.keys(all.variables.params).sort(), ["count", "w"]);
});

Deno.test("fromOnnx: the constants of a file without other weights are its weights", () => {
  const constant = (value: HostTensor) => node("Constant", [], ["w"], { value: { tensor: value } });
  const parts: GraphParts = {
    nodes: [constant(signed([6, 2], 3)), node("MatMul", ["x", "w"], ["out"])],
    inputs: { x },
    outputs: { out: "float32" },
  };
  assertEquals(Object.keys(fromOnnx(fileOf(parts)).variables.params), ["w"]);
  const other = {
    ...parts,
    nodes: [...parts.nodes.slice(0, 1), node("MatMul", ["x", "w"], ["y"]), node("Add", ["y", "b"], ["out"])],
  };
  assertEquals(Object.keys(fromOnnx(fileOf({ ...other, weights: { b: signed([2]) } })).variables.params), [
    "b",
  ]);
});

Deno.test("fromOnnx: much that is known is left to the compiled code", () => {
  const { model, variables } = fromOnnx(fileOf({
    nodes: [
      node("ConstantOfShape", ["sizes"], ["ones"], { value: { tensor: tensor([1]) } }),
      node("MatMul", ["ones", "ones"], ["square"]),
      node("ReduceMean", ["square"], ["mean"]),
      node("Mul", ["x", "mean"], ["out"]),
    ],
    inputs: { x },
    ints: { sizes: [800, 800] },
    outputs: { out: "float32" },
    opset: 17,
  }));
  const start = performance.now();
  outputSpecs((x: Tensor) => model.apply(variables, x, { training: false }).output, spec([2, 6]));
  assert(performance.now() - start < 5000); // the product takes 0.5·10⁹ multiplications in plain loops
});
