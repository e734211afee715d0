/** Elementwise operations on vectors of four. In a register a bool is all ones or all zeros. */
import { type FunctionBuilder, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import type { FusedName, FusedOperation, Operand } from "../../lowering/kinds/fused.ts";
import { mapFunctions } from "../../math/mod.ts";
import { type VectorEmitter, vectorFunctions } from "../math.ts";

/** Writes an operation whose operands are on the stack, and leaves its result there. */
type OperationEmitter = (f: FunctionBuilder, operation: FusedOperation, features: Features) => void;
type Instruction = Parameters<FunctionBuilder["op"]>[0];

/** A single instruction. */
function by(instruction: Instruction): OperationEmitter {
  return (f) => void f.op(instruction);
}

/** One form for floats, and another for int32 and bool, whose lanes are integers too. */
function either(float: OperationEmitter, integer: OperationEmitter): OperationEmitter {
  return (f, operation, features) =>
    (operation.inputDType === "float32" ? float : integer)(f, operation, features);
}

/** A function of the float vectors on the stack. */
function calling(emit: VectorEmitter): OperationEmitter {
  return (f, _, features) => emit(f, features);
}

/** Every operation: the type checker reports a missing one. */
const operations: { readonly [Name in FusedName]: OperationEmitter } = {
  ...mapFunctions((_, name) => calling(vectorFunctions[name])),
  copy: () => {},
  neg: either(by("f32x4.neg"), by("i32x4.neg")),
  abs: either(by("f32x4.abs"), by("i32x4.abs")),
  sign: (f, { inputDType }) => emitSign(f, inputDType === "float32"),
  floor: by("f32x4.floor"),
  sqrt: by("f32x4.sqrt"),
  add: either(by("f32x4.add"), by("i32x4.add")),
  sub: either(by("f32x4.sub"), by("i32x4.sub")),
  mul: either(by("f32x4.mul"), by("i32x4.mul")),
  div: either(by("f32x4.div"), emitIntegerDivision),
  maximum: either(limitOr("maximum", "f32x4.max"), by("i32x4.max_s")),
  minimum: either(limitOr("minimum", "f32x4.min"), by("i32x4.min_s")),
  equal: either(by("f32x4.eq"), by("i32x4.eq")),
  less: either(by("f32x4.lt"), by("i32x4.lt_s")),
  lessEqual: either(by("f32x4.le"), by("i32x4.le_s")),
  and: by("v128.and"),
  or: by("v128.or"),
  not: by("v128.not"),
  select: emitSelect,
  cast: (f, { inputDType, output }) => emitCast(f, inputDType, output.dtype),
};

/** Writes an operation whose operands are on the stack, and leaves its result there. */
export function emitOperation(f: FunctionBuilder, operation: FusedOperation, features: Features): void {
  operations[operation.name](f, operation, features);
}

/** The larger or smaller of two; if one is a constant, {@linkcode emitLimit} is tried first. */
function limitOr(name: "maximum" | "minimum", instruction: Instruction): OperationEmitter {
  return (f, { operands }) => {
    if (!emitLimit(f, name, operands)) f.op(instruction);
  };
}

/**
 * The larger or smaller of x and a constant in one instruction, as `f32x4.max` and `min` take several on most
 * processors: `pmax(x, c)` and `pmin(x, c)` are x if x is NaN. Returns false, and emits nothing, if the
 * results could differ.
 */
function emitLimit(f: FunctionBuilder, name: "maximum" | "minimum", operands: readonly Operand[]): boolean {
  const [first, second] = operands.map((operand) => operand.kind === "constant" ? operand.value : undefined);
  const limit = second ?? first;
  if (limit === undefined || Number.isNaN(limit)) return false;
  const isZero = limit === 0;
  if (isZero && (name === "minimum" || Object.is(limit, -0))) return false;
  if (second === undefined) {
    const x = f.local(v128), constant = f.local(v128);
    f.set(x).set(constant).get(x).get(constant);
  }
  f.op(name === "maximum" ? "f32x4.pmax" : "f32x4.pmin");
  if (isZero) f.f32x4(0).op("f32x4.add"); // of 0 and -0 the larger is 0
  return true;
}

/** Selects by `(condition, whenTrue, whenFalse)` on the stack. */
function emitSelect(f: FunctionBuilder): void {
  const whenFalse = f.local(v128), whenTrue = f.local(v128), condition = f.local(v128);
  f.set(whenFalse).set(whenTrue).set(condition);
  f.get(whenTrue).get(whenFalse).get(condition).op("v128.bitselect");
}

function emitCast(f: FunctionBuilder, from: string, to: string): void {
  if (from === to) return;
  if (to === "bool") {
    if (from === "float32") f.f32x4(0).op("f32x4.ne");
    else f.i32x4(0).op("i32x4.ne");
  } else if (from === "bool") {
    if (to === "float32") f.f32x4(1).op("v128.and");
    else f.i32x4(1).op("v128.and");
  } else {
    f.op(to === "float32" ? "f32x4.convert_i32x4_s" : "i32x4.trunc_sat_f32x4_s");
  }
}

/** `(x > 0) - (x < 0)`; a float zero keeps its sign, and NaN stays NaN. */
function emitSign(f: FunctionBuilder, isFloat: boolean): void {
  const x = f.local(v128);
  f.set(x);
  if (!isFloat) {
    f.get(x).i32x4(0).op("i32x4.lt_s").get(x).i32x4(0).op("i32x4.gt_s").op("i32x4.sub");
    return;
  }
  f.get(x).f32x4(0).op("f32x4.ne").f32x4(1).op("v128.and");
  f.get(x).i32x4(-(2 ** 31)).op("v128.and").op("v128.or");
  f.get(x).get(x).get(x).op("f32x4.eq").op("v128.bitselect");
}

/** Divides towards zero, lane by lane; 0 for a divisor of 0, and no trap for the least integer by -1. */
function emitIntegerDivision(f: FunctionBuilder): void {
  const divisor = f.local(v128), dividend = f.local(v128), result = f.local(v128);
  f.set(divisor).set(dividend);
  f.i32x4(0).set(result);
  for (let lane = 0; lane < 4; lane++) {
    const push = (vector: number) => f.get(vector).lane("i32x4.extract_lane", lane);
    push(divisor).i32(1).op("i32.add").i32(2).op("i32.lt_u");
    f.if(() => { // -1 or 0: the negated dividend or 0
      f.get(result);
      push(dividend);
      push(divisor).op("i32.mul");
      f.lane("i32x4.replace_lane", lane).set(result);
    }, () => {
      f.get(result);
      push(dividend);
      push(divisor).op("i32.div_s");
      f.lane("i32x4.replace_lane", lane).set(result);
    });
  }
  f.get(result);
}
