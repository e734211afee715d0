/**
 * log and log1p of f32x4: the argument is 2ᵉ·(1 + g) with 1 + g between √½ and √2, and log(1 + g) = g - g²/2 + g³·q(g)
 * as in Cephes's logf (S. L. Moshier, netlib.org/cephes), with a q of Remez's algorithm.
 */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import {
  bits,
  choose,
  constant,
  LN2_HIGH,
  LN2_LOW,
  multiplyAdd,
  polynomial,
  SIGN,
  type VectorEmitter,
} from "./vector.ts";

/** q, highest power first: relative error of log 3.2e-8. */
const LOG = [0.0870535076, -0.14269416, 0.149141073, -0.165774122, 0.19963114, -0.250013411, 0.333339095];
/** The bits of √½ and of 1. */
const SQRT_HALF = 0x3f3504f3, ONE = 0x3f800000;

/** e (int32) and 2ᵉ·(1 + g) = x as floats. */
interface Parts {
  readonly e: Local;
  readonly g: Local;
}

function split(f: FunctionBuilder, x: Local): Parts {
  const e = f.local(v128), g = f.local(v128);
  bits(f.get(x), SQRT_HALF).op("i32x4.sub").i32(23).op("i32x4.shr_s").set(e);
  f.get(x).get(e).i32(23).op("i32x4.shl").op("i32x4.sub");
  constant(f, 1).op("f32x4.sub").set(g);
  return { e, g };
}

/** Pushes e·ln 2 + log(1 + g), where e is a float. */
function logOfParts(f: FunctionBuilder, features: Features, { e, g }: Parts): FunctionBuilder {
  const z = f.local(v128);
  f.get(g).get(g).op("f32x4.mul").set(z);
  constant(f.get(e), LN2_HIGH);
  return multiplyAdd(f, features, () => {
    constant(f.get(z), -0.5);
    multiplyAdd(f, features, () => {
      f.get(z).get(g).op("f32x4.mul");
      polynomial(f, features, g, LOG);
      multiplyAdd(f, features, () => constant(f.get(e), LN2_LOW).op("f32x4.mul"));
    }).get(g).op("f32x4.add");
  });
}

/** The result on the stack, or what the logarithm of x is where x is infinite, 0, negative or NaN. */
function withSpecialValues(f: FunctionBuilder, features: Features, x: Local): FunctionBuilder {
  const result = f.local(v128);
  f.set(result).get(x).get(result);
  choose(constant(f.get(x), Infinity).op("f32x4.eq"), features).set(result);
  constant(f, -Infinity).get(result);
  choose(constant(f.get(x), 0).op("f32x4.eq"), features);
  // All ones, which is a NaN, unless x >= 0: then pmax(x, 0) is x.
  constant(f.get(x), 0).op("f32x4.pmax").get(x).op("f32x4.ne");
  return f.op("v128.or");
}

/** The natural logarithm, of denormals too: they are scaled up by 2²³. */
export const log: VectorEmitter = (f, features) => {
  const x = f.local(v128), tiny = f.local(v128), scaled = f.local(v128), e = f.local(v128);
  constant(f.tee(x), 2 ** -126).op("f32x4.lt").set(tiny);
  constant(f.get(x), 2 ** 23).op("f32x4.mul").get(x);
  choose(f.get(tiny), features).set(scaled);
  const parts = split(f, scaled);
  f.get(parts.e).op("f32x4.convert_i32x4_s");
  constant(f.get(tiny), 23).op("v128.and").op("f32x4.sub").set(e);
  withSpecialValues(logOfParts(f, features, { e, g: parts.g }), features, x);
};

/**
 * log(1 + x): of u = 1 + x, as rounded, corrected by what the rounding lost, c = x - (u - 1), scaled like g. Where
 * 1 + x is not in need of scaling g is x itself.
 */
export const log1p: VectorEmitter = (f, features) => {
  const x = f.local(v128), u = f.local(v128), e = f.local(v128), g = f.local(v128);
  constant(f.tee(x), 1).op("f32x4.add").set(u);
  const parts = split(f, u);
  f.get(x);
  constant(f.get(u), 1).op("f32x4.sub").op("f32x4.sub");
  // 2⁻ᵉ; where e is larger than 126, nothing was lost.
  bits(f, ONE);
  bits(f.get(parts.e), 126).op("i32x4.min_s").i32(23).op("i32x4.shl").op("i32x4.sub");
  multiplyAdd(f, features, () => f.get(parts.g)).set(g);
  f.get(parts.e).op("f32x4.convert_i32x4_s").set(e);
  withSpecialValues(logOfParts(f, features, { e, g }), features, u);
  bits(f.get(x), SIGN).op("v128.and").op("v128.or"); // -0 gives -0
};
