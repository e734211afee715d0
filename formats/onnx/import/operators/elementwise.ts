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
import { addDims, type Dim, divideDims, multiplyDims, subtractDims } from "../../../../src/tensor/dims.ts";
import { hostTensor, type Tensor } from "../../../../src/tensor/tensor.ts";
import { dropoutMask } from "../../../../src/operations/random.ts";
import { dtypeOf } from "../../tensors.ts";
import { eluOf, hardSigmoidOf, leakyReluOf, thresholdedReluOf } from "../activations.ts";
import { attribute, type Node } from "../node.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { castValue, floatsOf, type OnnxValue, type SizesValue, tensorOf, valueOf } from "../values.ts";

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

/** The same for any number. */
function unaryNumber(compute: (x: Tensor) => Tensor): Operator {
  return {
    attributes: [],
    inputs: [1, 1],
    compute: (_, inputs) => [valueOf(compute(tensorOf(given(inputs, 0))))],
  };
}

/** Pairs the sizes of both operands; undefined unless they match up. */
function pairs(a: SizesValue, b: SizesValue): (readonly [Dim, Dim])[] | undefined {
  const length = Math.max(a.sizes.length, b.sizes.length);
  const at = ({ sizes }: SizesValue, index: number) => sizes.length === 1 ? sizes[0] : sizes[index];
  const paired = Array.from({ length }, (_, index) => [at(a, index), at(b, index)] as const);
  return paired.every(([x, y]) => x !== undefined && y !== undefined) ? paired : undefined;
}

/** An operator of two tensors; `sizes` computes known integers, where it can. */
function binary(
  compute: (a: Tensor, b: Tensor) => Tensor,
  sizes?: (a: Dim, b: Dim) => Dim | undefined,
): Operator {
  return {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)];
      if (sizes && a.kind === "sizes" && b.kind === "sizes") {
        const results = pairs(a, b)?.map(([x, y]) => sizes(x, y));
        if (results?.every((size) => size !== undefined)) {
          return [{ kind: "sizes", sizes: results, scalar: a.scalar && b.scalar }];
        }
      }
      return [valueOf(compute(tensorOf(a), tensorOf(b)))];
    },
  };
}

/** An operator of one tensor or more. */
function variadic(combine: (a: Tensor, b: Tensor) => Tensor): Operator {
  return {
    attributes: [],
    inputs: [1, Infinity],
    compute: (
      _,
      inputs,
    ) => [valueOf(inputs.map((_, index) => tensorOf(given(inputs, index))).reduce(combine))],
  };
}

/** Both numbers, or undefined if one is known only at run time. */
function onNumbers(compute: (a: number, b: number) => number): (a: Dim, b: Dim) => Dim | undefined {
  return (a, b) => typeof a === "number" && typeof b === "number" ? compute(a, b) : undefined;
}

function divideSizes(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? undefined : Math.trunc(a / b);
  return divideDims(a, b);
}

/** Which sizes are equal, if all of that is known: a size is never negative. */
function equalSizes(a: SizesValue, b: SizesValue): Tensor | undefined {
  const decided = pairs(a, b)?.map(([x, y]) => {
    if (x === y) return 1;
    if (typeof x === "number" && typeof y === "number") return 0;
    const number = typeof x === "number" ? x : y;
    return typeof number === "number" && number < 0 ? 0 : undefined;
  });
  if (!decided?.every((value) => value !== undefined)) return undefined;
  return hostTensor(Uint8Array.from(decided), a.scalar && b.scalar ? [] : [decided.length]);
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

/** Rounds halfway values to even. */
function round(x: Tensor): Tensor {
  const down = floor(x);
  const rest = sub(x, down);
  const odd = notEqual(mul(floor(mul(down, 0.5)), 2), down);
  const up = or(greater(rest, 0.5), and(equal(rest, 0.5), odd));
  return add(down, cast(up, x.dtype));
}

const gelu: Operator = unary((x, node) => {
  const approximate = attribute(node, "approximate", "string") ?? "none";
  if (approximate === "none") return resolveActivation("gelu")(x);
  if (approximate !== "tanh") {
    throw new RangeError(`its approximate is ${JSON.stringify(approximate)}, expected none or tanh`);
  }
  const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}, ["approximate"]);

const dropout: Operator = {
  attributes: ["seed", "ratio"],
  inputs: [1, 3],
  outputs: 2,
  compute: (node, inputs, call) => {
    const x = floatsOf(given(inputs, 0));
    const [, rateValue, mode] = inputs;
    if (mode) throw new TypeError("its training_mode is an input, which is not supported");
    const rateTensor = rateValue && tensorOf(rateValue);
    const rate = rateTensor === undefined
      ? attribute(node, "ratio", "float") ?? 0.5
      : rateTensor.kind === "host"
      ? rateTensor.data[0]
      : undefined;
    if (rate === undefined) throw new TypeError("its ratio is known only at run time, expected a constant");
    const key = call.training && rate > 0 ? call.keyFor(node) : undefined;
    if (call.training && rate > 0 && !key) throw new TypeError("it needs a key while training");
    const factors = key && dropoutMask(key, x.shape, { rate });
    const kept = factors ? notEqual(factors, 0) : equal(x, x);
    return [valueOf(factors ? mul(x, cast(factors, x.dtype)) : x), valueOf(kept)];
  },
};

/** The operators of this file. */
export const elementwiseOperators: Operators = {
  Add: binary(add, addDims),
  Sub: binary(sub, subtractDims),
  Mul: binary(mul, multiplyDims),
  Div: binary(div, divideSizes),
  Pow: binary((a, b) => pow(a, cast(b, a.dtype))),
  Mod: binary(() => {
    throw new TypeError("it is supported for sizes only");
  }, onNumbers((a, b) => b === 0 ? NaN : ((a % b) + b) % b)),
  Max: variadic(maximum),
  Min: variadic(minimum),
  Sum: variadic(add),
  Mean: {
    ...variadic(add),
    compute: (_, inputs) => {
      const tensors = inputs.map((_, index) => floatsOf(given(inputs, index)));
      return [valueOf(mul(tensors.reduce((a, b) => add(a, b)), 1 / tensors.length))];
    },
  },
  Equal: {
    ...binary(equal),
    compute: (_, inputs) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)];
      const decided = a.kind === "sizes" && b.kind === "sizes" ? equalSizes(a, b) : undefined;
      return [valueOf(decided ?? equal(tensorOf(a), tensorOf(b)))];
    },
  },
  Less: binary(less),
  LessOrEqual: binary(lessEqual),
  Greater: binary(greater),
  GreaterOrEqual: binary(greaterEqual),
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
  Neg: unaryNumber(neg),
  Abs: unaryNumber(abs),
  Sign: unaryNumber(sign),
  Reciprocal: unary((x) => div(1, x)),
  Floor: unary(floor),
  Ceil: unary((x) => neg(floor(neg(x)))),
  Round: unary(round),
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
