/** Elementwise operations on vectors of four. In a register a bool is all ones or all zeros. */
import { type FunctionBuilder, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import type { FusedOperation, Operand } from "../../lowering/kernels.ts";
import { type VectorEmitter, vectorFunctions } from "../math.ts";

const FLOAT_FUNCTIONS: Readonly<Record<string, VectorEmitter>> = vectorFunctions;

/** Instructions by operation for floats and for int32; the operands are on the stack. */
const FLOAT: Readonly<Record<string, Parameters<FunctionBuilder["op"]>[0]>> = {
  neg: "f32x4.neg",
  abs: "f32x4.abs",
  floor: "f32x4.floor",
  sqrt: "f32x4.sqrt",
  add: "f32x4.add",
  sub: "f32x4.sub",
  mul: "f32x4.mul",
  div: "f32x4.div",
  max: "f32x4.max",
  min: "f32x4.min",
  equal: "f32x4.eq",
  less: "f32x4.lt",
  lessEqual: "f32x4.le",
};
const INTEGER: Readonly<Record<string, Parameters<FunctionBuilder["op"]>[0]>> = {
  neg: "i32x4.neg",
  abs: "i32x4.abs",
  add: "i32x4.add",
  sub: "i32x4.sub",
  mul: "i32x4.mul",
  max: "i32x4.max_s",
  min: "i32x4.min_s",
  equal: "i32x4.eq",
  less: "i32x4.lt_s",
  lessEqual: "i32x4.le_s",
  and: "v128.and",
  or: "v128.or",
  not: "v128.not",
};

/** Writes an operation whose operands are on the stack; leaves its result. */
export function emitOperation(
  f: FunctionBuilder,
  { name, inputDType, output, operands }: FusedOperation,
  features: Features,
): void {
  if (name === "copy") return;
  if (name === "select") return emitSelect(f);
  if (name === "cast") return emitCast(f, inputDType, output.dtype);
  if (name === "sign") return emitSign(f, inputDType === "float32");
  // The first operand says the dtype, except that a comparison of bools is one of integers.
  const isFloat = inputDType === "float32";
  if (isFloat && (name === "max" || name === "min") && emitLimit(f, name, operands)) return;
  const plain = (isFloat ? FLOAT : INTEGER)[name];
  if (plain) {
    f.op(plain);
    return;
  }
  const vectorFunction = FLOAT_FUNCTIONS[name];
  if (isFloat && vectorFunction) return vectorFunction(f, features);
  if (!isFloat && name === "div") return emitIntegerDivision(f);
  throw new TypeError(`Cannot compile ${name} of ${operands.length} ${inputDType} operands for wasm`);
}

/**
 * The larger or smaller of x and a constant in one instruction, where `f32x4.max` and `min` are several on most
 * processors: `pmax(x, c)` and `pmin(x, c)` are x where x is NaN. Gives false, and emits nothing, where they would differ.
 */
function emitLimit(f: FunctionBuilder, name: "max" | "min", operands: readonly Operand[]): boolean {
  const [first, second] = operands.map((operand) => operand.kind === "constant" ? operand.value : undefined);
  const limit = second ?? first;
  if (limit === undefined || Number.isNaN(limit)) return false;
  const isZero = limit === 0;
  if (isZero && (name === "min" || Object.is(limit, -0))) return false;
  if (second === undefined) {
    const x = f.local(v128), constant = f.local(v128);
    f.set(x).set(constant).get(x).get(constant);
  }
  f.op(name === "max" ? "f32x4.pmax" : "f32x4.pmin");
  if (isZero) f.f32x4(0).op("f32x4.add"); // of 0 and -0 the larger is 0
  return true;
}

/** `(condition, whenTrue, whenFalse)` on the stack. */
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

/** `(x > 0) - (x < 0)`; of a float with its sign where it is 0, and NaN for NaN. */
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

/** Towards zero, lane by lane; 0 for a divisor of 0, and no trap for the least integer by -1. */
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
