/**
 * Elementwise operations. The public functions broadcast by NumPy's rules and accept a
 * plain number for either operand, which gets the dtype of the other; dtypes are never converted implicitly.
 */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import type { Shape } from "../tensor/dims.ts";
import {
  allocateValues,
  checkTensor,
  type DType,
  printSpec,
  type Spec,
  type Tensor,
  tensor,
} from "../tensor/tensor.ts";
import type {
  ArithmeticName,
  ComparisonName,
  ElementwiseName,
  None,
  UnaryName,
} from "../program/elementwise.ts";
import type { Attributes, Operation } from "../program/types.ts";
import { applyOne } from "./apply.ts";
import {
  printSpecs,
  requireBool,
  requireFloat,
  requireNumber,
  requireSameDType,
  requireSameShape,
} from "./infer.ts";
import { withLogits } from "./logits.ts";
import { broadcastTo } from "./structure.ts";

/** A tensor, or a number that becomes a scalar of the other operand's dtype. */
export type Operand = Tensor | number;

/** A unary operation on floats (or numbers). */
function unary<K extends UnaryName>(
  name: K,
  check: (name: string, inputs: readonly Spec[]) => void = requireFloat,
): Operation<K> {
  return {
    name,
    infer: ([x]) => {
      check(name, [x]);
      return [x];
    },
  };
}

/** A binary operation on numbers. */
function arithmetic<K extends ArithmeticName>(name: K): Operation<K> {
  return {
    name,
    infer: (inputs) => {
      requireNumber(name, inputs);
      if (name === "pow") requireFloat(name, inputs);
      requireSameDType(name, inputs);
      requireSameShape(name, inputs);
      return [inputs[0]];
    },
  };
}

function comparison<K extends ComparisonName>(name: K): Operation<K> {
  return {
    name,
    infer: (inputs) => {
      if (name !== "equal") requireNumber(name, inputs);
      requireSameDType(name, inputs);
      requireSameShape(name, inputs);
      return [{ shape: inputs[0].shape, dtype: "bool" }];
    },
  };
}

function logical<K extends "and" | "or" | "not">(name: K): Operation<K> {
  return {
    name,
    infer: (inputs) => {
      requireBool(name, inputs);
      requireSameShape(name, inputs);
      return [inputs[0]];
    },
  };
}

/** An operation that costs less than reading its result from memory. */
function cheap<K extends ElementwiseName>(operation: Operation<K>): Operation<K> {
  return { ...operation, isCheap: true };
}

/** The records of the elementwise primitives. */
export const elementwiseOperations = {
  neg: cheap(unary("neg", requireNumber)),
  abs: cheap(unary("abs", requireNumber)),
  sign: cheap(unary("sign", requireNumber)),
  floor: cheap(unary("floor")),
  exp: unary("exp"),
  expm1: unary("expm1"),
  log: unary("log"),
  log1p: unary("log1p"),
  sqrt: unary("sqrt"),
  sin: unary("sin"),
  cos: unary("cos"),
  tanh: unary("tanh"),
  sigmoid: unary("sigmoid"),
  erf: unary("erf"),
  add: cheap(arithmetic("add")),
  sub: cheap(arithmetic("sub")),
  mul: cheap(arithmetic("mul")),
  div: arithmetic("div"),
  pow: arithmetic("pow"),
  maximum: cheap(arithmetic("maximum")),
  minimum: cheap(arithmetic("minimum")),
  equal: cheap(comparison("equal")),
  less: cheap(comparison("less")),
  lessEqual: cheap(comparison("lessEqual")),
  and: cheap(logical("and")),
  or: cheap(logical("or")),
  not: cheap(logical("not")),
  select: {
    name: "select",
    infer: ([condition, whenTrue, whenFalse]) => {
      requireBool("select", [condition]);
      requireSameDType("select", [whenTrue, whenFalse]);
      requireSameShape("select", [condition, whenTrue, whenFalse]);
      return [whenTrue];
    },
    isCheap: true,
    // It is not known whether all elements of an axis are chosen from the same side.
    movedAxis: () => undefined,
  } satisfies Operation<"select"> as Operation<"select">,
  cast: {
    name: "cast",
    infer: ([x], { dtype }) => [{ shape: x.shape, dtype }],
    isCheap: true,
    movedAxis: ({ axis }) => axis,
  } satisfies Operation<"cast"> as Operation<"cast">,
  stopGradient: {
    name: "stopGradient",
    infer: ([x]) => [x],
    isCheap: true,
    movedAxis: ({ axis }) => axis,
  } satisfies Operation<"stopGradient"> as Operation<"stopGradient">,
};

/** The shape that several shapes broadcast to, by NumPy's rules. */
export function broadcastShapes(name: string, specs: readonly Spec[]): Shape {
  const rank = Math.max(...specs.map(({ shape }) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const dims = specs.map(({ shape }) => shape[axis - rank + shape.length] ?? 1).filter((dim) => dim !== 1);
    if (dims.some((dim) => dim !== dims[0])) {
      throw new TypeError(
        `Cannot compute ${name} of ${printSpecs(specs)}: ` +
          `the sizes ${dims.join(" and ")} do not broadcast at axis ${axis - rank}`,
      );
    }
    return dims[0] ?? 1;
  });
}

/** Operands as tensors of one dtype and shape. */
function align(name: string, operands: readonly Operand[]): Tensor[] {
  operands.forEach((operand, index) => {
    if (typeof operand !== "number") checkTensor(name, operand, `operand ${index}`);
  });
  const dtype: DType = operands.find((operand): operand is Tensor => typeof operand !== "number")?.dtype ??
    "float32";
  const tensors = operands.map((operand) =>
    typeof operand === "number" ? tensor(operand, { dtype }) : operand
  );
  const shape = broadcastShapes(name, tensors);
  return tensors.map((operand) => broadcastTo(operand, shape));
}

function on<K extends UnaryName | ArithmeticName | ComparisonName>(
  operation: Operation<K>,
  ...operands: readonly Operand[]
): Tensor {
  const none: None = {};
  return applyOne(operation, align(operation.name, operands), none as Attributes[K]); // None for each of these names
}

/** `-x`. */
export const neg = (x: Operand): Tensor => on(elementwiseOperations.neg, x);
/** `|x|`; the derivative at 0 is 0. */
export const abs = (x: Operand): Tensor => on(elementwiseOperations.abs, x);
/** -1, 0 or 1; 0 and NaN are unchanged. */
export const sign = (x: Operand): Tensor => on(elementwiseOperations.sign, x);
/** The largest integer not above `x`. */
export const floor = (x: Operand): Tensor => on(elementwiseOperations.floor, x);
/** `e^x`. */
export const exp = (x: Operand): Tensor => on(elementwiseOperations.exp, x);
/** `e^x - 1`, accurate near 0. */
export const expm1 = (x: Operand): Tensor => on(elementwiseOperations.expm1, x);
/** The natural logarithm. */
export const log = (x: Operand): Tensor => on(elementwiseOperations.log, x);
/** `log(1 + x)`, accurate near 0. */
export const log1p = (x: Operand): Tensor => on(elementwiseOperations.log1p, x);
/** The square root. */
export const sqrt = (x: Operand): Tensor => on(elementwiseOperations.sqrt, x);
/** The sine of radians. */
export const sin = (x: Operand): Tensor => on(elementwiseOperations.sin, x);
/** The cosine of radians. */
export const cos = (x: Operand): Tensor => on(elementwiseOperations.cos, x);
/** The hyperbolic tangent. */
export const tanh = (x: Operand): Tensor => on(elementwiseOperations.tanh, x);
/** `1 / (1 + e^-x)`. It remembers `x`, so that a crossentropy computes with the logits. */
export const sigmoid = (x: Operand): Tensor => {
  const probabilities = on(elementwiseOperations.sigmoid, x);
  return typeof x === "number" ? probabilities : withLogits(probabilities, x, "sigmoid");
};
/** The error function. */
export const erf = (x: Operand): Tensor => on(elementwiseOperations.erf, x);
/** `a + b`. */
export const add = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.add, a, b);
/** `a - b`. */
export const sub = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.sub, a, b);
/** `a · b`, element by element. */
export const mul = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.mul, a, b);
/** `a / b`; int32 division truncates toward zero, and gives 0 for a divisor of 0. */
export const div = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.div, a, b);
/** `a^b` of floats, with the special values of C99. */
export const pow = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.pow, a, b);
/** The larger of each pair, NaN if either is NaN; if they are equal the first gets the derivative. */
export const maximum = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.maximum, a, b);
/** The smaller of each pair, NaN if either is NaN; if they are equal the first gets the derivative. */
export const minimum = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.minimum, a, b);
/** Whether `a = b`, as bool. */
export const equal = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.equal, a, b);
/** Whether `a ≠ b`, as bool. */
export const notEqual = (a: Operand, b: Operand): Tensor => not(equal(a, b));
/** Whether `a < b`, as bool. */
export const less = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.less, a, b);
/** Whether `a ≤ b`, as bool. */
export const lessEqual = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.lessEqual, a, b);
/** Whether `a > b`, as bool. */
export const greater = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.less, b, a);
/** Whether `a ≥ b`, as bool. */
export const greaterEqual = (a: Operand, b: Operand): Tensor => on(elementwiseOperations.lessEqual, b, a);
/** Whether both bools hold. */
export const and = (a: Tensor, b: Tensor): Tensor =>
  applyOne(elementwiseOperations.and, align("and", [a, b]), {});
/** Whether either bool holds. */
export const or = (a: Tensor, b: Tensor): Tensor =>
  applyOne(elementwiseOperations.or, align("or", [a, b]), {});
/** Whether the bool does not hold. */
export const not = (x: Tensor): Tensor => applyOne(elementwiseOperations.not, [x], {});

/** `whenTrue` where `condition` (bool) is true, else `whenFalse`; all three broadcast. */
export function select(condition: Tensor, whenTrue: Operand, whenFalse: Operand): Tensor {
  checkTensor("select", condition, "condition");
  const [a, b] = align("select", [whenTrue, whenFalse]);
  const shape = broadcastShapes("select", [condition, a, b]);
  return applyOne(elementwiseOperations.select, [condition, a, b].map((x) => broadcastTo(x, shape)), {});
}

/**
 * `x` as another dtype: floats become int32 by truncation (the nearest int32 beyond the range, 0 for NaN),
 * anything bool by `x ≠ 0`.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkTensor("cast", x);
  allocateValues(dtype, 0); // throws if it is not a dtype
  return x.dtype === dtype ? x : applyOne(elementwiseOperations.cast, [x], { dtype });
}

/** `x`, treated as a constant by derivatives. */
export function stopGradient(x: Tensor): Tensor {
  checkTensor("stopGradient", x);
  return applyOne(elementwiseOperations.stopGradient, [x], {});
}

/** `x²`. */
export const square = (x: Tensor): Tensor => mul(x, x);

/** `x` limited to `min…max` (each infinite by default); the derivative is 0 outside. */
export function clip(x: Tensor, options: { readonly min?: number; readonly max?: number }): Tensor {
  checkTensor("clip", x);
  checkOptions("clip", options, ["min", "max"]);
  const { min: low = -Infinity, max: high = Infinity } = options;
  if (typeof low !== "number" || typeof high !== "number" || !(low <= high)) {
    throw new RangeError(
      `Cannot clip ${printSpec(x)} to ${quoted(low)}…${
        quoted(high)
      }: expected two numbers, the lower one first`,
    );
  }
  return minimum(maximum(x, low), high);
}
