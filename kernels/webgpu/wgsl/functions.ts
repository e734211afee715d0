/**
 * Our own WGSL functions of one or two floats; mathematical functions come from `math.ts`. A module contains
 * only those that it uses.
 *
 * WGSL may assume that NaN and infinity do not exist, and may reassociate sums as for real numbers. Tests
 * that must be reliable therefore work on the bits, as integers, and what must not be rewritten goes through
 * `special`. Comparisons, maxima, casts and constants need nothing more; docs/numbers.md says what they
 * return.
 */
import { mathFunctions } from "../../math/mod.ts";
import { TWO_OVER_PI } from "../../math/trigonometric.ts";
import { functionSource } from "./math.ts";

interface Source {
  readonly code: string;
  /** Other functions that it calls. */
  readonly calls?: readonly string[];
}

const SOURCES: Readonly<Record<string, Source>> = {
  hidden: { code: "fn hidden(x: f32) -> f32 { return bitcast<f32>(special(bitcast<u32>(x))); }" },
  // To the compiler this differs from hidden(x), so it does not see a value subtracted from itself.
  apart: {
    code:
      "fn apart(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ (arrayLength(&memory) & 0x20000000u)); }",
  },
  isNan: {
    code: "fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }",
  },
  isFinite: {
    code: "fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }",
  },
  withSign: {
    code: `fn withSign(size: f32, sign: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(size) & 0x7fffffffu) | (bitcast<u32>(sign) & 0x80000000u));
}`,
  },
  // An integer that grows with x, one less for -0 than for 0.
  order: {
    code: `fn order(x: f32) -> i32 {
  let bits = bitcast<i32>(x);
  return bits ^ ((bits >> 31u) & 0x7fffffff);
}`,
  },
  // The same with -0 equal to 0.
  orderOfNumber: {
    code: `fn orderOfNumber(x: f32) -> i32 {
  let bits = bitcast<i32>(x);
  return select(bits, -(bits & 0x7fffffff), bits < 0);
}`,
  },
  less_: {
    calls: ["isNan", "orderOfNumber"],
    code: `fn less_(a: f32, b: f32) -> bool {
  return !isNan(a) && !isNan(b) && orderOfNumber(a) < orderOfNumber(b);
}`,
  },
  lessEqual_: {
    calls: ["isNan", "orderOfNumber"],
    code: `fn lessEqual_(a: f32, b: f32) -> bool {
  return !isNan(a) && !isNan(b) && orderOfNumber(a) <= orderOfNumber(b);
}`,
  },
  equal_: {
    calls: ["isNan", "orderOfNumber"],
    code: `fn equal_(a: f32, b: f32) -> bool {
  return !isNan(a) && orderOfNumber(a) == orderOfNumber(b);
}`,
  },
  max_: {
    calls: ["isNan", "order"],
    code: `fn max_(a: f32, b: f32) -> f32 {
  return select(b, a, isNan(a) || (!isNan(b) && order(a) > order(b)));
}`,
  },
  min_: {
    calls: ["isNan", "order"],
    code: `fn min_(a: f32, b: f32) -> f32 {
  return select(b, a, isNan(a) || (!isNan(b) && order(a) < order(b)));
}`,
  },
  sign_: {
    calls: ["isNan", "withSign"],
    code: `fn sign_(x: f32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  return select(withSign(select(1.0, 0.0, size == 0u), x), x, isNan(x));
}`,
  },
  toInt: {
    calls: ["isNan"],
    code: `fn toInt(x: f32) -> i32 {
  if (isNan(x)) { return 0; }
  if ((bitcast<u32>(x) & 0x7fffffffu) >= 0x4f000000u) { return select(0x7fffffff, -0x7fffffff - 1, bitcast<i32>(x) < 0); }
  return i32(x);
}`,
  },
  toBool: { code: "fn toBool(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) != 0u; }" },
  // Not f32(x), as compilers tend to turn a multiplication by it into a select.
  ofBool: {
    code: "fn ofBool(x: bool) -> f32 { return bitcast<f32>(special(select(0u, 0x3f800000u, x))); }",
  },
  multiplyHigh: {
    code: `fn multiplyHigh(a: u32, b: u32) -> u32 {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return a1 * b1 + (middle >> 16u) + (other >> 16u);
}`,
  },
  // |x| = m·2ᵉ in quarter turns: m times those 96 bits of 2/π from which on the product is not a multiple of
  // four (M. Payne, R. Hanek, "Radian Reduction for Trigonometric Functions", SIGNUM Newsletter 18, 1983).
  // The result is the quadrant, and the remainder from -π/4 to π/4 as a float.
  reduceTurns: {
    calls: ["multiplyHigh"],
    code: `struct Turned { quarter: i32, rest: f32 }
fn reduceTurns(size: u32) -> Turned {
  if (size < 0x3f490fdbu) { return Turned(0, bitcast<f32>(size)); }
  var digits = array<u32, 8>(${TWO_OVER_PI.map((word) => `0x${word.toString(16)}u`).join(", ")});
  let m = (size & 0x007fffffu) | 0x00800000u;
  let at = (size >> 23u) - 120u;
  let word = at >> 5u;
  let shift = at & 31u;
  let back = 31u - shift;
  let w0 = (digits[word] << shift) | ((digits[word + 1u] >> 1u) >> back);
  let w1 = (digits[word + 1u] << shift) | ((digits[word + 2u] >> 1u) >> back);
  let w2 = (digits[word + 2u] << shift) | ((digits[word + 3u] >> 1u) >> back);
  let carried = multiplyHigh(m, w2);
  let low = m * w1 + carried;
  let high = m * w0 + multiplyHigh(m, w1) + select(0u, 1u, low < carried);
  let quarter = i32((high + 0x20000000u) >> 30u);
  var top = (high << 2u) | (low >> 30u);
  var bottom = low << 2u;
  let negative = top >= 0x80000000u;
  if (negative) {
    bottom = ~bottom + 1u;
    top = ~top + select(0u, 1u, bottom == 0u);
  }
  var exponent = 32u;
  if (top == 0u) {
    top = bottom;
    bottom = 0u;
    exponent = 64u;
  }
  let zeros = countLeadingZeros(top) & 31u;
  top = (top << zeros) | ((bottom >> 1u) >> (31u - zeros));
  let rest = f32(multiplyHigh(top, 0xc90fdaa2u)) * bitcast<f32>((128u - exponent - zeros) << 23u);
  return Turned(quarter, select(rest, -rest, negative));
}`,
  },
  divideInt: {
    code: `fn divideInt(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  if (b == -1) { return -a; }
  return a / b;
}`,
  },
};

/**
 * Bits that no compiler knows, so that it cannot simplify what they represent: floats without a WGSL literal,
 * constants of a Program, and results that an optimization would mistake for others. No array has 2²⁹ words.
 */
export const SPECIAL = `fn special(bits: u32) -> u32 { return bits | (arrayLength(&memory) >> 29u); }`;

/** The mathematical functions, as they are called here. */
const MATH = new Map(Object.entries(mathFunctions).map(([name, fn]) => [`${name}_`, fn]));

/** The named functions and the functions they call, each after those that it calls. */
export function functionSources(names: Iterable<string>): string[] {
  const written = new Map<string, string>();
  const write = (name: string): void => {
    if (written.has(name)) return;
    const math = MATH.get(name);
    const source = math ? functionSource(name, math) : SOURCES[name];
    if (!source) throw new Error(`There is no WGSL function ${name}`);
    for (const called of source.calls ?? []) write(called);
    written.set(name, source.code);
  };
  for (const name of names) write(name);
  return [...written.values()];
}
