/**
 * Operators of onnxruntime that its optimizer puts in the place of several of ONNX, in files that were saved after it
 * ran. Each is what onnxruntime's `ContribOperators.md` says.
 */
import { type ActivationLike, resolveActivation } from "../../../../src/operations/activations.ts";
import { add, clip, div, mul, sigmoid, sqrt, square, sub } from "../../../../src/operations/elementwise.ts";
import { mean as meanOf } from "../../../../src/operations/reduction.ts";
import { transpose } from "../../../../src/operations/structure.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";
import { hardSigmoidOf, leakyReluOf } from "../activations.ts";
import { attribute, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { floatsOf, type OnnxValue, valueOf } from "../values.ts";
import { convolutionOperators, convolved } from "./convolution.ts";
import { tanhGelu } from "./elementwise.ts";
import { product } from "./matrix.ts";

const gelu = resolveActivation("gelu");

/** A function of an input, or of its sum with a bias. */
function ofSum(
  inputs: Operator["inputs"],
  compute: (x: Tensor, node: Node) => Tensor,
  attributes: readonly string[] = [],
): Operator {
  return {
    attributes,
    inputs,
    compute: (node, inputs) => {
      const [x, bias] = [floatsOf(given(inputs, 0)), inputs[1]];
      return [valueOf(compute(bias ? add(x, floatsOf(bias)) : x, node))];
    },
  };
}

/** The product of matrices of which either may be transposed, or have its rows before the batch, times alpha. */
function fusedProduct(node: Node, inputs: Inputs): OnnxValue[] {
  const [a, b] = ["A", "B"].map((operand, index) => {
    const x = floatsOf(given(inputs, index));
    const axes = x.shape.map((_, axis) => axis);
    if (axes.length < 2) return x;
    const [rows, ...rest] = axes;
    const batched = flag(node, `transBatch${operand}`, false)
      ? [...rest.slice(0, -1), rows, ...rest.slice(-1)]
      : axes;
    const turned = flag(node, `trans${operand}`, false)
      ? [...batched.slice(0, -2), ...batched.slice(-2).reverse()]
      : batched;
    return transpose(x, { permutation: turned });
  });
  return [valueOf(mul(product(a, b), attribute(node, "alpha", "float") ?? 1))];
}

/** The activations of a FusedConv, by name with their parameters. */
const activations: Readonly<Record<string, (parameters: readonly number[]) => ActivationLike>> = {
  Relu: () => "relu",
  Tanh: () => "tanh",
  Sigmoid: () => "sigmoid",
  LeakyRelu: ([alpha = 0.01]) => leakyReluOf(alpha),
  HardSigmoid: ([alpha = 0.2, beta = 0.5]) => hardSigmoidOf(alpha, beta),
  Clip: ([min = -Infinity, max = Infinity]) => (x) => clip(x, { min, max }),
};

/** A convolution, the addition of another tensor, and an activation. */
function fusedConvolution(node: Node, inputs: Inputs): OnnxValue[] {
  const y = convolved(node, inputs);
  const sum = inputs[3] ? add(floatsOf(y), floatsOf(inputs[3])) : floatsOf(y);
  const name = attribute(node, "activation", "string") ?? "";
  if (name === "") return [valueOf(sum)];
  if (!Object.hasOwn(activations, name)) {
    const names = Object.keys(activations).join(", ");
    throw new RangeError(`its activation is ${JSON.stringify(name)}, expected one of ${names}`);
  }
  const parameters = attribute(node, "activation_params", "floats") ?? [];
  return [valueOf(resolveActivation(activations[name](parameters))(sum))];
}

/** The sum of two tensors and a bias, normalized over the last axis; also mean, inverse deviation and the sum. */
function skipNormalized(node: Node, inputs: Inputs, centers: boolean): OnnxValue[] {
  const [x, skip, scale] = [0, 1, 2].map((index) => floatsOf(given(inputs, index)));
  const [shift, bias] = centers ? [inputs[3], inputs[4]] : [undefined, inputs[3]];
  const plain = add(x, skip);
  const total = bias ? add(plain, floatsOf(bias)) : plain;
  const last = { axes: -1, keepDims: true };
  const mean = meanOf(total, last);
  const centered = centers ? sub(total, mean) : total;
  const epsilon = attribute(node, "epsilon", "float") ?? 1e-12;
  const deviation = sqrt(add(meanOf(square(centered), last), epsilon));
  const scaled = mul(div(centered, deviation), scale);
  const output = shift ? add(scaled, floatsOf(shift)) : scaled;
  return [output, mean, div(1, deviation), total].map(valueOf);
}

/** The operators of this file. */
export const fusedOperators: Operators = {
  "com.microsoft.Gelu": ofSum([1, 1], gelu),
  "com.microsoft.BiasGelu": ofSum([2, 2], gelu),
  "com.microsoft.FastGelu": ofSum([1, 2], tanhGelu),
  "com.microsoft.QuickGelu": ofSum(
    [1, 1],
    (x, node) => mul(x, sigmoid(mul(x, attribute(node, "alpha", "float") ?? 1.702))),
    ["alpha"],
  ),
  "com.microsoft.FusedMatMul": {
    attributes: ["alpha", "transA", "transB", "transBatchA", "transBatchB"],
    inputs: [2, 2],
    compute: fusedProduct,
  },
  "com.microsoft.FusedConv": {
    attributes: [...convolutionOperators.Conv.attributes, "activation", "activation_params"],
    inputs: [2, 4],
    compute: fusedConvolution,
  },
  "com.microsoft.SkipLayerNormalization": {
    attributes: ["epsilon"],
    inputs: [3, 5],
    outputs: 4,
    compute: (node, inputs) => skipNormalized(node, inputs, true),
  },
  "com.microsoft.SkipSimplifiedLayerNormalization": {
    attributes: ["epsilon"],
    inputs: [3, 4],
    outputs: 4,
    compute: (node, inputs) => skipNormalized(node, inputs, false),
  },
};
