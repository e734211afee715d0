/** Products of matrices. */
import { add, mul } from "../../../../src/operations/elementwise.ts";
import { broadcastShapes } from "../../../../src/operations/elementwise.ts";
import { einsum } from "../../../../src/operations/einsum.ts";
import { matmul } from "../../../../src/operations/matmul.ts";
import { broadcastTo, expandDims, reshape, transpose } from "../../../../src/operations/structure.ts";
import { printSpec, type Spec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, flag } from "../node.ts";
import { given, type Operators } from "../operator.ts";
import { floatsOf, valueOf } from "../values.ts";

/** NumPy's `matmul`: vectors become matrices, leading axes broadcast. */
export function product(a: Tensor, b: Tensor): Tensor {
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw new TypeError(`it multiplies ${printSpec(a)} and ${printSpec(b)}, expected at least one axis each`);
  }
  const left = a.shape.length === 1 ? expandDims(a, 0) : a;
  const right = b.shape.length === 1 ? expandDims(b, 1) : b;
  const wide = batched(left, right);
  const shape = wide.shape.filter((_, axis) => {
    const fromEnd = wide.shape.length - axis;
    return !(fromEnd === 2 && a.shape.length === 1) && !(fromEnd === 1 && b.shape.length === 1);
  });
  return reshape(wide, shape);
}

function batched(a: Tensor, b: Tensor): Tensor {
  if (b.shape.length === 2) return matmul(a, b);
  const leading = ({ shape, dtype }: Spec): Spec => ({ shape: shape.slice(0, -2), dtype });
  const shape = broadcastShapes("matmul", [leading(a), leading(b)]);
  const widened = [a, b].map((x) => broadcastTo(x, [...shape, ...x.shape.slice(-2)]));
  return matmul(widened[0], widened[1]);
}

/** The most operands of an Einsum: its letters, of which there are 26, would hardly do for more. */
const MOST_OPERANDS = 16;

/** The operators of this file. */
export const matrixOperators: Operators = {
  MatMul: {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => [valueOf(product(floatsOf(given(inputs, 0)), floatsOf(given(inputs, 1))))],
  },
  Gemm: {
    attributes: ["alpha", "beta", "transA", "transB"],
    inputs: [2, 3],
    compute: (node, inputs) => {
      const [a, b] = [floatsOf(given(inputs, 0)), floatsOf(given(inputs, 1))];
      if (a.shape.length !== 2 || b.shape.length !== 2) {
        throw new TypeError(`it multiplies ${printSpec(a)} and ${printSpec(b)}, expected matrices`);
      }
      const left = flag(node, "transA", false) ? transpose(a) : a;
      const alpha = attribute(node, "alpha", "float") ?? 1;
      const beta = attribute(node, "beta", "float") ?? 1;
      const plain = matmul(left, b, { transposeRight: flag(node, "transB", false) });
      const scaled = alpha === 1 ? plain : mul(plain, alpha);
      const c = inputs[2] && floatsOf(inputs[2]);
      if (!c || beta === 0) return [valueOf(scaled)];
      return [valueOf(add(scaled, broadcastTo(beta === 1 ? c : mul(c, beta), scaled.shape)))];
    },
  },
  Einsum: {
    attributes: ["equation"],
    inputs: [1, MOST_OPERANDS],
    compute: (node, inputs) => {
      const equation = attribute(node, "equation", "string") ?? "";
      return [
        valueOf(einsum(
          equation.replaceAll(" ", ""),
          ...inputs.map((_, index) => floatsOf(given(inputs, index))),
        )),
      ];
    },
  },
};
