/** Fused elementwise kernels: each invocation computes elements of its own, all intermediate results in registers. */
import type { Value } from "../../../src/program/types.ts";
import type { FusedKernel, FusedOperation, Operand } from "../../lowering/kernels.ts";
import { collapse, sizeOf, type View } from "../../lowering/views.ts";
import { literal, load, type Memory, store, typeOf, unravel } from "./address.ts";
import type { FunctionWriter } from "./writer.ts";

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

/** The value of an operation; `use` notes the functions that it calls. */
export function expression(
  { name, inputDType, output }: FusedOperation,
  operands: readonly string[],
  use: (name: string) => string,
): string {
  const [a, b, c] = operands;
  const isFloat = inputDType === "float32";
  if (name === "copy") return a;
  if (name === "neg") return `-${a}`;
  if (name === "not") return `!${a}`;
  if (name === "select") return `select(${c}, ${b}, ${a})`;
  if (name === "cast") {
    if (output.dtype === inputDType) return a;
    return output.dtype === "bool" ? `(${a} != ${isFloat ? "0.0" : "0"})` : `${typeOf(output.dtype)}(${a})`;
  }
  if (isFloat && FLOAT_FUNCTIONS.has(name)) return `${use(`${name}_`)}(${operands.join(", ")})`;
  if (inputDType === "int32" && name === "div") return `${use("divideInt")}(${a}, ${b})`;
  if (inputDType === "int32" && name === "pow") return `${use("powInt")}(${a}, ${b})`;
  if (BUILTINS.has(name)) return `${name}(${operands.join(", ")})`;
  const operator = OPERATORS[name];
  if (operator) return `(${a} ${operator} ${b})`;
  throw new TypeError(`Cannot compile ${name} of ${operands.length} ${inputDType} operands for webgpu`);
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
          return literal(operand.value, operand.dtype);
        case "view":
          return loaded.get(load(placeOf(operand.view), names, memory)) ?? fail();
        case "register":
          return registers.get(operand.value) ?? fail();
      }
    };
    for (const operation of kernel.operations) {
      // What WGSL knows at compile time it computes then, and refuses infinities and overflow.
      const isKnown = operation.operands.every(({ kind }) => kind === "constant");
      const operands = operation.operands.map(valueOf).map((text) => isKnown ? f.variable(text) : text);
      const value = f.let(expression(operation, operands, f.use));
      registers.set(operation.output, value);
      for (const view of operation.stores) f.line(store(placeOf(view), names, value, memory));
    }
  });
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}
