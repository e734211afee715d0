/** Small graphs for the operators that onnxruntime's optimizer writes. */
import type { OperatorCase } from "./fold_cases.ts";
import { node, signed, type Value } from "./graphs.ts";
import type { Named } from "./runtime.ts";

/** One node of onnxruntime's own, with all its inputs from outside; an empty name is an input that is left out. */
function fused(
  operator: string,
  names: string,
  inputs: Named,
  attributes: { readonly [name: string]: Value } = {},
  outputs: readonly string[] = ["out"],
): OperatorCase {
  const text = Object.keys(attributes).length === 0 ? "" : ` ${JSON.stringify(attributes)}`;
  return {
    name: `${operator}(${names})${text}`,
    nodes: [
      node(
        `com.microsoft.${operator}`,
        names.split(" ").map((name) => name.replace("-", "")),
        outputs,
        attributes,
      ),
    ],
    inputs,
    outputs: Object.fromEntries(
      outputs.filter((name) => name !== "").map((name) => [name, "float32" as const]),
    ),
  };
}

const x = signed([2, 3, 4], 1), other = signed([2, 3, 4], 2);
const row = signed([4], 3), scale = signed([4], 4), shift = signed([4], 5);
const plane = signed([1, 2, 5, 4], 6), kernel = signed([3, 2, 2, 3], 7), bias = signed([3], 8);
const same = signed([1, 3, 4, 2], 9);

/** The cases. */
export const fusedCases: readonly OperatorCase[] = [
  fused("Gelu", "x", { x }),
  fused("BiasGelu", "x row", { x, row }),
  fused("FastGelu", "x", { x }),
  fused("FastGelu", "x row", { x, row }),
  fused("QuickGelu", "x", { x }),
  fused("QuickGelu", "x", { x }, { alpha: { float: 0.5 } }),
  fused("FusedMatMul", "x w", { x, w: signed([4, 5], 10) }, { alpha: { float: 0.25 } }),
  fused("FusedMatMul", "x other", { x, other }, { transA: 1 }),
  fused("FusedMatMul", "x other", { x, other }, { transB: 1, alpha: { float: -2 } }),
  fused("FusedMatMul", "x w", { x, w: signed([3, 5], 10) }, { transA: 1 }),
  fused("FusedMatMul", "rows x", { rows: signed([5, 2, 3], 11), x }, { transBatchA: 1 }),
  fused("FusedMatMul", "x rows", { x, rows: signed([5, 2, 4], 12) }, { transBatchB: 1, transB: 1 }),
  fused("FusedMatMul", "rows x", { rows: signed([3, 2, 5], 13), x }, { transBatchA: 1, transA: 1 }),
  fused("FusedConv", "plane kernel bias", { plane, kernel, bias }, { activation: "Relu" }),
  fused("FusedConv", "plane kernel", { plane, kernel }, {
    activation: "Tanh",
    pads: [1, 0, 0, 1],
    strides: [2, 1],
  }),
  fused("FusedConv", "plane kernel", { plane, kernel }, { activation: "Sigmoid" }),
  fused("FusedConv", "plane kernel bias same", { plane, kernel, bias, same }, { activation: "Relu" }),
  ...([["LeakyRelu", [0.25]], ["Clip", [-0.5, 0.25]], ["HardSigmoid", [0.3, 0.4]]] as const).map((
    [activation, floats],
  ) =>
    fused("FusedConv", "plane kernel bias", { plane, kernel, bias }, {
      activation,
      activation_params: { floats },
    })
  ),
  fused("SkipLayerNormalization", "x other scale", { x, other, scale }),
  fused(
    "SkipLayerNormalization",
    "x other scale shift row",
    { x, other, scale, shift, row },
    { epsilon: { float: 0.01 } },
    ["out", "", "", "total"],
  ),
  fused("SkipLayerNormalization", "x other scale - row", { x, other, scale, row }),
  fused("SkipSimplifiedLayerNormalization", "x other scale", { x, other, scale }, {
    epsilon: { float: 0.01 },
  }),
  fused("SkipSimplifiedLayerNormalization", "x other scale row", { x, other, scale, row }, {
    epsilon: { float: 0.01 },
  }, [
    "out",
    "",
    "",
    "total",
  ]),
];
