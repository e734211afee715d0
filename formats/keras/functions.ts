/**
 * Keras's operations in a graph (`keras.ops.add(a, b)`, or `a + b`) as functions for `apply`, and back. In
 * Keras their results have no mask, but here they do; where Keras passes a layer no mask, it gets one in
 * which every step counts.
 */
import type { GraphFunction } from "../../src/models/mod.ts";
import {
  abs,
  add,
  and,
  cast,
  div,
  equal,
  exp,
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
  type Operand,
  or,
  pow,
  sigmoid,
  sqrt,
  square,
  sub,
  tanh,
} from "../../src/operations/elementwise.ts";
import type { JsonOptions } from "../../src/options/json.ts";
import { max } from "../../src/operations/reduction.ts";
import { broadcastTo, reverse } from "../../src/operations/structure.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { getItem } from "./get_item.ts";

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Operand, b: Operand) => Tensor;
type Logical = (a: Tensor, b: Tensor) => Tensor;

const unary: Readonly<Record<string, Unary>> = {
  Absolute: abs,
  Exp: exp,
  Log: log,
  LogicalNot: not,
  Negative: neg,
  Sigmoid: sigmoid,
  Sqrt: sqrt,
  Square: square,
  Tanh: tanh,
};

const binary: Readonly<Record<string, Binary>> = {
  Add: add,
  Subtract: sub,
  Multiply: mul,
  Divide: div,
  TrueDivide: div,
  Maximum: maximum,
  Minimum: minimum,
  Power: pow,
  Equal: equal,
  NotEqual: notEqual,
  Greater: greater,
  GreaterEqual: greaterEqual,
  Less: less,
  LessEqual: lessEqual,
};

const logical: Readonly<Record<string, Logical>> = { LogicalAnd: and, LogicalOr: or };

/** Operations on a tensor with options; undefined for unsupported options. Masks are computed with them. */
const configured: Readonly<Record<string, (config: JsonOptions) => Unary | undefined>> = {
  Any: ({ axis, keepdims }) =>
    typeof axis === "number" && keepdims === false
      ? (x) => cast(max(cast(x, "int32"), { axes: axis }), "bool")
      : undefined,
  // Its key is its second argument in a file.
  GetItem: ({ key }) => key === undefined ? undefined : getItem(key),
  Flip: ({ axis }) => typeof axis === "number" ? (x) => reverse(x, axis) : undefined,
};

/**
 * A Keras operation: its class and its arguments, where null is a placeholder for a tensor and numbers are
 * literal.
 */
export interface OperationCall {
  readonly className: string;
  readonly args: readonly (number | null)[];
  /** Its options; default none. */
  readonly config?: JsonOptions;
}

/** The operations behind the functions that were made for a file. */
const made = new WeakMap<GraphFunction, OperationCall>();

/** Tokens as Keras's `Embedding` takes them: it casts its input. */
export function toTokens(x: Tensor): Tensor {
  return cast(x, "int32");
}

/** The classes of all known operations. */
export const operationClasses: readonly string[] = [
  ...Object.keys(unary),
  ...Object.keys(binary),
  ...Object.keys(logical),
  ...Object.keys(configured),
];

/** The mask in which every step of a sequence counts: for a call to which Keras passes no mask. */
export function everyStep(x: Tensor): Tensor {
  return broadcastTo(tensor(true), x.shape.slice(0, 2));
}

/**
 * The function of the tensors among the arguments; undefined for an unknown operation or unsupported
 * arguments.
 */
export function functionOf({ className, args, config = {} }: OperationCall): GraphFunction | undefined {
  if (Object.hasOwn(configured, className)) {
    const fn = args.length === 1 ? configured[className](config) : undefined;
    if (fn === undefined) return undefined;
    return named(fn, { className, args, config });
  }
  if (Object.hasOwn(unary, className)) return args.length === 1 ? unary[className] : undefined;
  if (Object.hasOwn(logical, className)) {
    return args.length === 2 && args.every((arg) => arg === null) ? logical[className] : undefined;
  }
  if (!Object.hasOwn(binary, className) || args.length !== 2) return undefined;
  const [a, b] = args;
  const operation = binary[className];
  if (a === null && b === null) return operation;
  const fn: GraphFunction = a === null ? (x) => operation(x, b ?? 0) : (x) => operation(a, x);
  return named(fn, { className, args });
}

/** The function for an operation, with a descriptive name. */
function named(fn: GraphFunction, operation: OperationCall): GraphFunction {
  const { className, args, config = {} } = operation;
  const shown = [
    ...args.map((arg) => arg ?? "x"),
    ...Object.entries(config).map(([name, value]) =>
      `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`
    ),
  ];
  Object.defineProperty(fn, "name", { value: `${className.toLowerCase()}(${shown})` });
  made.set(fn, operation);
  return fn;
}

/** The Keras operation for a function of `count` tensors; undefined if there is none. */
export function operationOf(fn: GraphFunction, count: number): OperationCall | undefined {
  const found = made.get(fn);
  if (found) return found;
  const table: readonly [string, unknown][] = Object.entries(count === 1 ? unary : { ...binary, ...logical });
  const [className] = table.find(([, known]) => known === fn) ?? [];
  return className === undefined || count > 2 ? undefined : { className, args: new Array(count).fill(null) };
}

/** The Python module of an operation. */
export function moduleOf(className: string): string {
  if (className === "ConvertToTensor") return "keras.src.ops.core";
  return className === "Sigmoid" ? "keras.src.ops.nn" : "keras.src.ops.numpy";
}
