/**
 * Fused elementwise kernels: each invocation computes its own elements, with all intermediate results in
 * registers.
 */
import type { Value } from "../../../src/program/types.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { FusedKernel, FusedName, FusedOperation, Operand } from "../../lowering/kinds/fused.ts";
import { collapse, type OpenNumber, type View } from "../../lowering/views.ts";
import { mapFunctions } from "../../math/mod.ts";
import { hiddenLiteral, load, store, unravel } from "./address.ts";
import { elementsInRows, rowsIn, type Site, type WrittenKinds } from "./kind.ts";
import { loop } from "./trip_count.ts";
import type { Table } from "./table.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";

/** What the expression of an operation is built from. */
interface Context {
  readonly operation: FusedOperation;
  readonly isFloat: boolean;
  /** Records a call of a function of `functions.ts`; returns its name. */
  readonly use: (name: string) => string;
}

/** The expression of an operation on these operands. */
type Expression = (operands: readonly string[], context: Context) => string;

/** An infix operator. */
function operator(sign: string): Expression {
  return ([a, b]) => `(${a} ${sign} ${b})`;
}

/** A builtin function. */
function builtin(name: string): Expression {
  return (operands) => `${name}(${operands.join(", ")})`;
}

/** A function of `functions.ts`, which takes floats. */
function own(name: string): Expression {
  return (operands, { use }) => `${use(name)}(${operands.join(", ")})`;
}

/** One form for floats, and another for int32 and bool. */
function either(float: Expression, integer: Expression): Expression {
  return (operands, context) => (context.isFloat ? float : integer)(operands, context);
}

/** An operator on floats that hides from the compiler whether they are equal: x - x is not always 0. */
function apart(sign: string): Expression {
  return ([a, b], { use }) => `(${a} ${sign} ${use("apart")}(${b}))`;
}

/** Every operation: the type checker reports a missing one. */
const expressions: { readonly [Name in FusedName]: Expression } = {
  ...mapFunctions((_, name) => own(`${name}_`)),
  copy: ([x]) => x,
  neg: ([x]) => `-${x}`,
  abs: builtin("abs"),
  sign: either(own("sign_"), builtin("sign")),
  floor: builtin("floor"),
  sqrt: builtin("sqrt"),
  add: operator("+"),
  sub: either(apart("-"), operator("-")),
  mul: operator("*"),
  div: either(apart("/"), own("divideInt")),
  maximum: either(own("max_"), builtin("max")),
  minimum: either(own("min_"), builtin("min")),
  equal: either(own("equal_"), operator("==")),
  less: either(own("less_"), operator("<")),
  lessEqual: either(own("lessEqual_"), operator("<=")),
  and: operator("&&"),
  or: operator("||"),
  not: ([x]) => `!${x}`,
  select: ([condition, whenTrue, whenFalse]) => `select(${whenFalse}, ${whenTrue}, ${condition})`,
  cast: ([x], { operation: { output, inputDType }, use }) => castTo(output.dtype, inputDType, x, use),
};

/** Operations that compilers combine by rules of real numbers, such as (a + b) - a = b. */
const COMBINED: ReadonlySet<FusedName> = new Set([
  "neg",
  "abs",
  "floor",
  "sqrt",
  "add",
  "sub",
  "mul",
  "div",
]);

/** A cast; `use` records the functions that it calls. */
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

/** The value of an operation; `use` records the functions that it calls. */
export function expression(
  operation: FusedOperation,
  operands: readonly string[],
  use: (name: string) => string,
): string {
  const isFloat = operation.inputDType === "float32";
  return expressions[operation.name](operands, { operation, isFloat, use });
}

/** Units of work are rows of the first axis. */
function writeFused(f: FunctionWriter, kernel: FusedKernel, { memory }: Site): void {
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
  // Rows in workgroup memory are addressed by their number.
  const isLocal = views.some(({ buffer }) => memory.locationOf(buffer).in === "local");
  const { shape: dims, strides } = collapse(shape, views.map(({ strides }) => strides), isLocal ? 1 : 0);
  const flat = new Map(views.map((view, index) => [view, { ...view, shape: dims, strides: strides[index] }]));
  const placeOf = (view: View): View => flat.get(wide(view)) ?? view;
  const names = dims.map((_, axis) => `i${axis}`);

  const constants = new Map<string, string>();
  const read = new Set<Value>();
  for (const { operands } of kernel.operations) {
    for (const operand of operands) {
      if (operand.kind === "register") read.add(operand.value);
      if (operand.kind !== "constant") continue;
      const text = constantText(operand.value, operand.dtype, f.table);
      if (!constants.has(text)) constants.set(text, f.let(text));
    }
  }

  f.overItems(sizeOf(shape.slice(1)), (item) => {
    f.lines(...unravel(item, dims, names, f.table));
    // Everything is read before anything is written: a carry may be written to the place that is read.
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
          return constants.get(constantText(operand.value, operand.dtype, f.table)) ?? fail();
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

/** A constant, whose value no compiler knows. */
function constantText(value: number | OpenNumber, dtype: DType, table: Table): string {
  if (typeof value === "number") return hiddenLiteral(value, dtype);
  const bits = table.number(value, dtype);
  return dtype === "float32" ? `bitcast<f32>(${bits})` : dtype === "bool" ? `(${bits} != 0)` : bits;
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}

/** How this kind is written. */
export const fusedWriting: WrittenKinds<FusedKernel> = {
  fused: {
    write: writeFused,
    units: ({ shape }) => rowsIn(shape),
    tripCount: ({ shape }, at) => loop(Math.ceil(elementsInRows(shape, at) / at.invocations)),
  },
};
