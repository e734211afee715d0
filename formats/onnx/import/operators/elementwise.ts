/** Operators that work element by element. */
import {
  abs,
  add,
  and,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  notEqual,
  or,
  pow,
  select,
  sigmoid,
  sign,
  sin,
  sqrt,
  sub,
  tanh,
} from "../../../../src/operations/elementwise.ts";
import { resolveActivation } from "../../../../src/operations/activations.ts";
import {
  addDims,
  type Dim,
  divideDims,
  isAtMost,
  multiplyDims,
  subtractDims,
} from "../../../../src/tensor/dims.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";
import { dropoutMask } from "../../../../src/operations/random.ts";
import { dtypeOf } from "../../tensors.ts";
import { eluOf, hardSigmoidOf, leakyReluOf, thresholdedReluOf } from "../activations.ts";
import { attribute, type Node } from "../node.ts";
import {
  bothSizes,
  decide,
  isEqual,
  isLess,
  isNotMore,
  largerSize,
  pairs,
  power as sizePower,
  sizesOfPair,
  smallerSize,
} from "../size_arithmetic.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { roundToEven } from "./rounding.ts";
import {
  castValue,
  dtypeOfValue,
  floatsOf,
  onlyElement,
  type OnnxValue,
  sizesBehind,
  type SizesValue,
  tensorOf,
  valueOf,
  wholeFloatsOf,
  wholeValue,
  withSizes,
} from "../values.ts";

/** An operator of one tensor of floats. */
function unary(
  compute: (x: Tensor, node: Node) => Tensor,
  attributes: readonly string[] = [],
): Operator {
  return {
    attributes,
    inputs: [1, 1],
    compute: (node, inputs) => [valueOf(compute(floatsOf(given(inputs, 0)), node))],
  };
}

/** Rounding: sizes as floats are whole already. */
function rounding(compute: (x: Tensor) => Tensor): Operator {
  const { compute: ofAll, ...rest } = unary(compute);
  return {
    ...rest,
    compute: (node, inputs, call) => {
      const x = given(inputs, 0);
      return x.kind === "tensor" && x.base.kind === "traced" && sizesBehind(x)
        ? [x]
        : ofAll(node, inputs, call);
    },
  };
}

/** The same for any number; `sizes` computes known integers, where it can. */
function unaryNumber(
  compute: (x: Tensor) => Tensor,
  sizes: (size: Dim) => Dim | undefined = () => undefined,
): Operator {
  return {
    attributes: [],
    inputs: [1, 1],
    compute: (_, inputs) => {
      const x = given(inputs, 0);
      const results = x.kind === "sizes" ? x.sizes.map(sizes) : [];
      if (x.kind === "sizes" && results.every((size) => size !== undefined)) {
        return [{ ...x, sizes: results }];
      }
      return [valueOf(compute(tensorOf(x)))];
    },
  };
}

/** An operator of two tensors; `sizes` computes known integers, where it can. */
export function binary(
  compute: (a: Tensor, b: Tensor) => Tensor,
  sizes?: (a: Dim, b: Dim) => Dim | undefined,
): Operator {
  return {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)];
      const result = sizes && sizesOfPair(a, b, sizes);
      if (result && a.kind === "sizes" && b.kind === "sizes") return [result];
      const computed = valueOf(compute(tensorOf(a), tensorOf(b)));
      return [result ? withSizes(computed, result) : computed];
    },
  };
}

/** The same, for quantized values too: derivatives pass through the floats that stand for whole numbers. */
function quantizedBinary(
  compute: (a: Tensor, b: Tensor) => Tensor,
  sizes: (a: Dim, b: Dim) => Dim | undefined,
): Operator {
  const plain = binary(compute, sizes);
  return {
    ...plain,
    compute: (node, inputs, call) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)];
      if (![a, b].some((value) => value.kind === "tensor" && value.integers)) {
        return plain.compute(node, inputs, call);
      }
      const integers = () => compute(tensorOf(a), tensorOf(b));
      return [wholeValue(compute(wholeFloatsOf(a), wholeFloatsOf(b)), integers)];
    },
  };
}

/** An operator of one tensor or more; `sizes` computes known integers, where it can. */
function variadic(
  combine: (a: Tensor, b: Tensor) => Tensor,
  sizes: (a: Dim, b: Dim) => Dim | undefined,
): Operator {
  const pair = binary(combine, sizes);
  return {
    attributes: [],
    inputs: [1, Infinity],
    compute: (node, inputs, call) => {
      const values = inputs.map((_, index) => given(inputs, index));
      return [values.reduce((a, b) => pair.compute(node, [a, b], call)[0])];
    },
  };
}

/** A power of the type of its base: of whole numbers, the nearest whole number. */
function power(a: Tensor, b: Tensor): Tensor {
  if (a.dtype !== "int32") return pow(a, cast(b, a.dtype));
  return cast(roundToEven(pow(cast(a, "float32"), cast(b, "float32"))), "int32");
}

/** A comparison; `sizes` decides that of known integers, where it can. */
function comparison(
  compute: (a: Tensor, b: Tensor) => Tensor,
  sizes: (a: Dim, b: Dim) => boolean | undefined,
): Operator {
  return {
    ...binary(compute),
    compute: (_, inputs) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)];
      const both = bothSizes(a, b);
      const decided = both && decide(...both, sizes);
      return [valueOf(decided ?? compute(tensorOf(a), tensorOf(b)))];
    },
  };
}

/** Both numbers, or undefined if one is known only at run time. */
export function onNumbers(compute: (a: number, b: number) => number): (a: Dim, b: Dim) => Dim | undefined {
  return (a, b) => typeof a === "number" && typeof b === "number" ? compute(a, b) : undefined;
}

/** A quotient of sizes: that of whole numbers is truncated, and of floats it is one of sizes only if it is exact. */
function divided(a: OnnxValue, b: OnnxValue): OnnxValue {
  const areWhole = dtypeOfValue(a) === "int32" && dtypeOfValue(b) === "int32";
  const result = sizesOfPair(a, b, (x, y) => {
    if (typeof x !== "number" || typeof y !== "number") return divideDims(x, y);
    return y !== 0 && (areWhole || x % y === 0) ? Math.trunc(x / y) : undefined;
  });
  if (result && a.kind === "sizes" && b.kind === "sizes") return result;
  const computed = valueOf(div(tensorOf(a), tensorOf(b)));
  return result ? withSizes(computed, result) : computed;
}

/** Selects from two lists of sizes, if the selection is known. */
function chosenSizes(condition: OnnxValue, a: SizesValue, b: SizesValue): OnnxValue | undefined {
  const which = tensorOf(condition);
  const paired = pairs(a, b);
  if (which.kind !== "host" || !paired || which.data.length !== paired.length) return undefined;
  const sizes = paired.map(([x, y], index) => which.data[index] ? x : y);
  return { kind: "sizes", sizes, scalar: a.scalar && b.scalar };
}

/** An activation whose parameter is an attribute. */
function parametric(
  names: readonly string[],
  make: (read: (name: string, otherwise: number) => number) => (x: Tensor) => Tensor,
): Operator {
  return unary((x, node) => make((name, otherwise) => attribute(node, name, "float") ?? otherwise)(x), names);
}

function named(name: Parameters<typeof resolveActivation>[0]): Operator {
  return unary((x) => resolveActivation(name)(x));
}

/** The bounds of a clip: attributes in old versions, inputs in new ones. */
function clipped(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0));
  const bound = (index: number, name: string) => {
    const input = inputs[index];
    return input ? tensorOf(input) : attribute(node, name, "float");
  };
  const [low, high] = [bound(1, "min"), bound(2, "max")];
  const above = low === undefined ? x : maximum(x, low);
  return valueOf(high === undefined ? above : minimum(above, high));
}

const gelu: Operator = unary((x, node) => {
  const approximate = attribute(node, "approximate", "string") ?? "none";
  if (approximate === "none") return resolveActivation("gelu")(x);
  if (approximate !== "tanh") {
    throw new RangeError(`its approximate is ${JSON.stringify(approximate)}, expected none or tanh`);
  }
  return tanhGelu(x);
}, ["approximate"]);

/** `x · Φ(x)` by a tanh (Hendrycks and Gimpel, 2016). */
export function tanhGelu(x: Tensor): Tensor {
  const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/**
 * Dropout, while the model is trained here: files of models in training mode, which drop in every call elsewhere,
 * predict like the others. One whose training_mode is false never drops.
 */
const dropout: Operator = {
  attributes: ["seed", "ratio"],
  inputs: [1, 3],
  outputs: 2,
  compute: (node, inputs, call) => {
    const x = floatsOf(given(inputs, 0));
    const [, rateValue, mode] = inputs;
    const isOn = mode === undefined ? 1 : onlyElement(mode);
    if (isOn === undefined) {
      throw new TypeError("its training_mode is known only at run time, expected a constant");
    }
    const rate = rateValue ? onlyElement(rateValue) : attribute(node, "ratio", "float") ?? 0.5;
    if (rate === undefined) throw new TypeError("its ratio is known only at run time, expected a constant");
    const drops = call.training && rate > 0 && isOn !== 0;
    const key = drops ? call.keyFor(node) : undefined;
    if (drops && !key) throw new TypeError("it needs a key while training");
    const factors = key && dropoutMask(key, x.shape, { rate });
    const kept = factors ? notEqual(factors, 0) : equal(x, x);
    return [valueOf(factors ? mul(x, cast(factors, x.dtype)) : x), valueOf(kept)];
  },
};

/** The operators of this file. */
export const elementwiseOperators: Operators = {
  Add: quantizedBinary(add, addDims),
  Sub: quantizedBinary(sub, subtractDims),
  Mul: quantizedBinary(mul, multiplyDims),
  Div: {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => [divided(given(inputs, 0), given(inputs, 1))],
  },
  Pow: binary(power, sizePower),
  Max: variadic(maximum, largerSize),
  Min: variadic(minimum, smallerSize),
  Sum: variadic(add, addDims),
  Mean: {
    attributes: [],
    inputs: [1, Infinity],
    compute: (_, inputs) => {
      const tensors = inputs.map((_, index) => floatsOf(given(inputs, index)));
      return [valueOf(mul(tensors.reduce((a, b) => add(a, b)), 1 / tensors.length))];
    },
  },
  Equal: comparison(equal, isEqual),
  Less: comparison(less, isLess),
  LessOrEqual: comparison(lessEqual, isNotMore),
  Greater: comparison(greater, (a, b) => isLess(b, a)),
  GreaterOrEqual: comparison(greaterEqual, (a, b) => isNotMore(b, a)),
  And: binary(and),
  Or: binary(or),
  Xor: binary(notEqual),
  Not: unaryNumber(not),
  Where: {
    attributes: [],
    inputs: [3, 3],
    compute: (_, inputs) => {
      const [condition, a, b] = [0, 1, 2].map((index) => given(inputs, index));
      const chosen = a.kind === "sizes" && b.kind === "sizes" ? chosenSizes(condition, a, b) : undefined;
      return [chosen ?? valueOf(select(tensorOf(condition), tensorOf(a), tensorOf(b)))];
    },
  },
  Neg: unaryNumber(neg, (size) => multiplyDims(size, -1)),
  Abs: unaryNumber(abs, (size) => isAtMost(0, size) ? size : undefined),
  Sign: unaryNumber(sign),
  Reciprocal: unary((x) => div(1, x)),
  Floor: rounding(floor),
  Ceil: rounding((x) => neg(floor(neg(x)))),
  Round: rounding(roundToEven),
  Exp: unary(exp),
  Log: unary(log),
  Sqrt: unary(sqrt),
  Sin: unary(sin),
  Cos: unary(cos),
  Erf: unary(erf),
  Sigmoid: unary(sigmoid),
  Tanh: unary(tanh),
  Relu: named("relu"),
  Softplus: named("softplus"),
  Softsign: named("softsign"),
  Mish: named("mish"),
  HardSwish: named("hardSilu"),
  Gelu: gelu,
  LeakyRelu: parametric(["alpha"], (read) => resolveActivation(leakyReluOf(read("alpha", 0.01)))),
  Elu: parametric(["alpha"], (read) => resolveActivation(eluOf(read("alpha", 1)))),
  Selu: parametric(["alpha", "gamma"], (read) => {
    const [alpha, gamma] = [read("alpha", 1.6732631921768188), read("gamma", 1.0507010221481323)];
    return (x) => mul(resolveActivation(eluOf(alpha))(x), gamma);
  }),
  ThresholdedRelu: parametric(["alpha"], (read) => thresholdedReluOf(read("alpha", 1))),
  HardSigmoid: parametric(
    ["alpha", "beta"],
    (read) => resolveActivation(hardSigmoidOf(read("alpha", 0.2), read("beta", 0.5))),
  ),
  PRelu: binary((x, slope) => select(less(x, 0), mul(x, slope), x)),
  Clip: {
    attributes: ["min", "max"],
    inputs: [1, 3],
    compute: (node, inputs) => [clipped(node, inputs)],
  },
  Cast: {
    attributes: ["to", "saturate", "round_mode"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const to = attribute(node, "to", "int");
      if (to === undefined) throw new TypeError("it has no attribute to");
      return [castValue(given(inputs, 0), dtypeOf(node.place, to))];
    },
  },
  CastLike: {
    attributes: ["saturate"],
    inputs: [2, 2],
    compute: (_, inputs) => [castValue(given(inputs, 0), tensorOf(given(inputs, 1)).dtype)],
  },
  Identity: { attributes: [], inputs: [1, 1], compute: (_, inputs) => [given(inputs, 0)] },
  Dropout: dropout,
};
