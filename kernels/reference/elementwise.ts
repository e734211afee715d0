/**
 * Elementwise operations. Each has its own loop, so that V8 optimizes each separately; floats and int32 have
 * different loops if their arithmetic differs. Storing into a Float32Array rounds, into an Int32Array wraps.
 */
import type { KernelBuilder, Kernels, ReferenceKernel } from "./kernel.ts";
import type { OperationName } from "../../src/program/types.ts";
import type { ElementwiseName } from "../../src/program/elementwise.ts";
import { erf } from "./erf.ts";

const neg: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = -x[i];
};
const abs: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(x[i]);
};
const sign: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sign(x[i]);
};
const floor: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.floor(x[i]);
};
const exp: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(x[i]);
};
const expm1: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.expm1(x[i]);
};
const log: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.log(x[i]);
};
const log1p: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.log1p(x[i]);
};
const sqrt: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(x[i]);
};
const sin: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.sin(x[i]);
};
const cos: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.cos(x[i]);
};
const tanh: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.tanh(x[i]);
};
/** The argument of the exponential is never positive, so it never overflows. */
const sigmoid: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) {
    const e = Math.exp(-Math.abs(x[i]));
    out[i] = (x[i] >= 0 ? 1 : e) / (1 + e);
  }
};
const errorFunction: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = erf(x[i]);
};
const not: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = x[i] === 0 ? 1 : 0;
};
const copy: ReferenceKernel = ([x], [out]) => out.set(x);

const castToBool: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = x[i] === 0 ? 0 : 1;
};
/** Towards zero; values out of range become the nearest int32, NaN becomes 0. */
const castToInt: ReferenceKernel = ([x], [out]) => {
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.max(-2147483648, Math.min(2147483647, x[i])) | 0;
  }
};

const add: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
};
const addInt: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] + b[i]) | 0;
};
const sub: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] - b[i];
};
const subInt: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] - b[i]) | 0;
};
const mul: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] * b[i];
};
const mulInt: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.imul(a[i], b[i]);
};
const div: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] / b[i];
};
/** 0 if the divisor is 0: `| 0` turns NaN and the infinities into 0. */
const divInt: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] / b[i]) | 0;
};
const pow: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = power(a[i], b[i]);
};
/** As in C99; in JavaScript, powers of 1 and -1 with NaN or infinite exponents are NaN. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1;
  return base ** exponent;
}
/** NaN if either is NaN, as with `Math.max`. */
const maximum: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.max(a[i], b[i]);
};
const minimum: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = Math.min(a[i], b[i]);
};

const equal: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] === b[i] ? 1 : 0;
};
const less: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] < b[i] ? 1 : 0;
};
const lessEqual: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] <= b[i] ? 1 : 0;
};
const and: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] & b[i];
};
const or: ReferenceKernel = ([a, b], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = a[i] | b[i];
};
const select: ReferenceKernel = ([condition, whenTrue, whenFalse], [out]) => {
  for (let i = 0; i < out.length; i++) out[i] = condition[i] !== 0 ? whenTrue[i] : whenFalse[i];
};

/** The same loop for every dtype. */
function always(kernel: ReferenceKernel): KernelBuilder<OperationName> {
  return () => kernel;
}

/** A loop for floats and one for int32. */
function byDType(float: ReferenceKernel, int: ReferenceKernel): KernelBuilder<OperationName> {
  return ({ inputs }) => inputs[0].dtype === "int32" ? int : float;
}

const cast: KernelBuilder<"cast"> = ({ inputs: [input], outputs: [output] }) => {
  if (output.dtype === "bool" && input.dtype !== "bool") return castToBool;
  if (output.dtype === "int32" && input.dtype !== "int32") return castToInt;
  return copy;
};

/** Builders of the elementwise kernels. */
export const elementwise: Kernels<ElementwiseName> = {
  neg: always(neg),
  abs: always(abs),
  sign: always(sign),
  floor: always(floor),
  exp: always(exp),
  expm1: always(expm1),
  log: always(log),
  log1p: always(log1p),
  sqrt: always(sqrt),
  sin: always(sin),
  cos: always(cos),
  tanh: always(tanh),
  sigmoid: always(sigmoid),
  erf: always(errorFunction),
  not: always(not),
  cast,
  stopGradient: always(copy),
  add: byDType(add, addInt),
  sub: byDType(sub, subInt),
  mul: byDType(mul, mulInt),
  div: byDType(div, divInt),
  pow: always(pow),
  maximum: always(maximum),
  minimum: always(minimum),
  equal: always(equal),
  less: always(less),
  lessEqual: always(lessEqual),
  and: always(and),
  or: always(or),
  select: always(select),
};
