/** What the vector functions are written in: multiply-add, polynomials, selection. No function of mathematics lives here. */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import { constant } from "./constants.ts";
export { bits, constant, double, doubleBits } from "./constants.ts";

export type { VectorEmitter } from "./emit.ts";

/** a·b + c, with a and b on the stack and c pushed by `addend`; rounded once or twice as the engine likes. */
export function multiplyAdd(f: FunctionBuilder, features: Features, addend: () => void): FunctionBuilder {
  if (features.relaxed) {
    addend();
    return f.op("f32x4.relaxed_madd");
  }
  f.op("f32x4.mul");
  addend();
  return f.op("f32x4.add");
}

/** Pushes the polynomial in `x` whose coefficients, the highest power first, are given (Horner's rule). */
export function polynomial(
  f: FunctionBuilder,
  features: Features,
  x: Local,
  coefficients: readonly number[],
): FunctionBuilder {
  const [highest, ...rest] = coefficients;
  constant(f, highest);
  for (const coefficient of rest) {
    f.get(x);
    multiplyAdd(f, features, () => constant(f, coefficient));
  }
  return f;
}

/** With a, b and a mask on the stack: the lanes of a where the mask is all ones, of b where it is 0. */
export function choose(f: FunctionBuilder, features: Features): FunctionBuilder {
  return f.op(features.relaxed ? "i32x4.relaxed_laneselect" : "v128.bitselect");
}

/** 1.5·2²³: adding it rounds a small float to an integer, which then stands in the low bits of the sum. */
export const ROUNDING = 12582912;
/** The sign bit of each lane. */
export const SIGN = 0x80000000 | 0;
/** ln 2 in two parts (Cody and Waite): the first has 9 bits, so that its product with an exponent is exact. */
export const LN2_HIGH = 0.693359375, LN2_LOW = -2.12194440e-4;

/**
 * n, the integer next to x·scale: as the float `n`, and as `shifted`, a float in whose low bits n + bias stands, so
 * that a shift brings it to where it is wanted.
 */
export function multipleOf(
  f: FunctionBuilder,
  features: Features,
  { x, scale, bias }: { readonly x: Local; readonly scale: number; readonly bias: number },
): { readonly shifted: Local; readonly n: Local } {
  const shifted = f.local(v128), n = f.local(v128);
  constant(f.get(x), scale);
  multiplyAdd(f, features, () => constant(f, ROUNDING + bias)).tee(shifted);
  constant(f, ROUNDING + bias).op("f32x4.sub").set(n);
  return { shifted, n };
}

/** (x + n·high) + n·low in a new local. */
export function subtractMultiple(
  f: FunctionBuilder,
  features: Features,
  { x, n, high, low }: { readonly x: Local; readonly n: Local; readonly high: number; readonly low: number },
): Local {
  const r = f.local(v128);
  constant(f.get(n), low);
  multiplyAdd(f, features, () => {
    constant(f.get(n), high);
    multiplyAdd(f, features, () => f.get(x));
  });
  f.set(r);
  return r;
}

/** Instructions on f64x2 and i64x2: the number after the prefix 0xfd. */
const DOUBLE = {
  "f32x4.demote_f64x2_zero": 94,
  "f64x2.promote_low_f32x4": 95,
  "i64x2.shl": 203,
  "i64x2.shr_u": 205,
  "i64x2.add": 206,
  "f64x2.add": 240,
  "f64x2.sub": 241,
  "f64x2.mul": 242,
  "f64x2.div": 243,
  "f64x2.pmin": 246,
  "f64x2.pmax": 247,
} as const;

/** An instruction on f64x2 or i64x2; `second` pushes its second operand, unless it is on the stack. */
export function doubleOp(
  f: FunctionBuilder,
  name: keyof typeof DOUBLE,
  second?: () => void,
): FunctionBuilder {
  second?.();
  const number = DOUBLE[name];
  f.code.push(0xfd, ...(number < 128 ? [number] : [number & 127 | 128, number >> 7]));
  return f;
}

/** The upper two lanes of a vector as the lower two lanes of a new local. */
export function upperLanes(f: FunctionBuilder, x: Local): Local {
  const upper = f.local(v128);
  f.get(x).get(x).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]).set(upper);
  return upper;
}
