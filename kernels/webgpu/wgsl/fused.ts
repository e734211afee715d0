/** Fused elementwise kernels: each invocation computes elements of its own, all intermediate results in registers. */
import type { Value } from "../../../src/program/types.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { FusedKernel, FusedOperation, Operand } from "../../lowering/kernels.ts";
import { collapse, sizeOf, type View } from "../../lowering/views.ts";
import { hiddenLiteral, load, type Memory, store, unravel } from "./address.ts";
import type { FunctionWriter } from "./writer.ts";

/** The operations on floats that are functions of `functions.ts`. */
const FLOAT_FUNCTIONS: ReadonlySet<string> = new Set([
  "exp",
  "expm1",
  "log",
  "log1p",
  "sin",
  "cos",
  "tanh",
  "sigmoid",
  "erf",
  "pow",
  "sign",
  "max",
  "min",
  "equal",
  "less",
  "lessEqual",
]);

const OPERATORS: Readonly<Record<string, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  equal: "==",
  less: "<",
  lessEqual: "<=",
  and: "&&",
  or: "||",
};

/** Names of the same builtin. */
const BUILTINS: ReadonlySet<string> = new Set(["abs", "sign", "floor", "sqrt", "max", "min"]);

/** Operations whose results compilers combine with others by rules that hold for real numbers only, as (a + b) - a = b. */
const COMBINED: ReadonlySet<string> = new Set(["neg", "abs", "floor", "sqrt", "add", "sub", "mul", "div"]);

/** A cast; `use` notes the functions that it calls. */
function castTo(to: DType, from: DType, a: string, use: (name: string) => string): string {
  if (to === from) return a;
  const isFloat = from === "float32";
  switch (to) {
    case "bool":
      return isFloat ? `${use("toBool")}(${a})` : `(${a} != 0)`;
    case "int32":
      return isFloat ? `${use("toInt")}(${a})` : `i32(${a})`;
    default:
      return from === "bool" ? `${use("ofBool")}(${a})` : `f32(${a})`;
  }
}

/** The value of an operation; `use` notes the functions that it calls. */
export function expression(
  { name, inputDType, output }: FusedOperation,
  operands: readonly string[],
  use: (name: string) => string,
): string {
  const isFloat = inputDType === "float32";
  const [a, second, c] = operands;
  // x - x is not always 0, nor is x / x always 1.
  const b = isFloat && (name === "sub" || name === "div") ? `${use("apart")}(${second})` : second;
  if (name === "copy") return a;
  if (name === "neg") return `-${a}`;
  if (name === "not") return `!${a}`;
  if (name === "select") return `select(${c}, ${b}, ${a})`;
  if (name === "cast") return castTo(output.dtype, inputDType, a, use);
  if (isFloat && FLOAT_FUNCTIONS.has(name)) return `${use(`${name}_`)}(${operands.join(", ")})`;
  if (inputDType === "int32" && name === "div") return `${use("divideInt")}(${a}, ${b})`;
  if (BUILTINS.has(name)) return `${name}(${operands.join(", ")})`;
  const operator = OPERATORS[name];
  if (operator) return `(${a} ${operator} ${b})`;
  throw new TypeError(`Cannot compute ${name} of ${operands.length} ${inputDType} operands for webgpu`);
}

/** Writes the body of the function of a fused kernel; units of work are rows of the first axis. */
export function writeFused(f: FunctionWriter, kernel: FusedKernel, memory: Memory): void {
  if (sizeOf(kernel.shape) === 0) return;
  const shape = kernel.shape.length === 0 ? [1] : kernel.shape;
  const widened = new Map<View, View>();
  const wide = (view: View): View => {
    const known = widened.get(view) ??
      (kernel.shape.length === 0 ? { ...view, shape: [1], strides: [0] } : view);
    widened.set(view, known);
    return known;
  };
  const views = kernel.operations.flatMap(({ operands, stores }) => [
    ...operands.flatMap((operand) => operand.kind === "view" ? [wide(operand.view)] : []),
    ...stores.map(wide),
  ]);
  const { shape: dims, strides } = collapse(shape, views.map(({ strides }) => strides), 1);
  const flat = new Map(views.map((view, index) => [view, { ...view, shape: dims, strides: strides[index] }]));
  const placeOf = (view: View): View => flat.get(wide(view)) ?? view;
  const names = dims.map((_, axis) => `i${axis}`);

  const constants = new Map<string, string>();
  const read = new Set<Value>();
  for (const { operands } of kernel.operations) {
    for (const operand of operands) {
      if (operand.kind === "register") read.add(operand.value);
      if (operand.kind !== "constant") continue;
      const text = hiddenLiteral(operand.value, operand.dtype);
      if (!constants.has(text)) constants.set(text, f.let(text));
    }
  }

  f.overItems(sizeOf(dims.slice(1)), (item) => {
    f.lines(...unravel(item, dims, names));
    // Everything is read before anything is written: a carry may be written where it was read.
    const loaded = new Map<string, string>();
    for (const { operands } of kernel.operations) {
      for (const operand of operands) {
        if (operand.kind !== "view") continue;
        const text = load(placeOf(operand.view), names, memory);
        if (loaded.has(text)) continue;
        loaded.set(text, f.let(text));
      }
    }
    const registers = new Map<Value, string>();
    const valueOf = (operand: Operand): string => {
      switch (operand.kind) {
        case "constant":
          return constants.get(hiddenLiteral(operand.value, operand.dtype)) ?? fail();
        case "view":
          return loaded.get(load(placeOf(operand.view), names, memory)) ?? fail();
        case "register":
          return registers.get(operand.value) ?? fail();
      }
    };
    for (const operation of kernel.operations) {
      const text = expression(operation, operation.operands.map(valueOf), f.use);
      const isHidden = operation.output.dtype === "float32" && COMBINED.has(operation.name) &&
        read.has(operation.output);
      const value = f.let(isHidden ? `${f.use("hidden")}(${text})` : text);
      registers.set(operation.output, value);
      for (const view of operation.stores) f.line(store(placeOf(view), names, value, memory));
    }
  });
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}
