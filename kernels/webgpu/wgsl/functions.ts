/**
 * Functions of one or two floats in WGSL, of our own: the built-in ones may be off by 2⁻¹¹ and more, and overflow where
 * tanh and sigmoid must not, or let NaN vanish. A module has only those that it uses. WGSL may assume that NaN and
 * infinity do not exist, so what becomes of them is up to the device in the end.
 */

interface Source {
  readonly code: string;
  /** Other functions that it calls. */
  readonly calls?: readonly string[];
}

const SOURCES: Readonly<Record<string, Source>> = {
  // Cody and Waite's two-part ln 2, Taylor's polynomial, and 2ⁿ in two factors that are normal where 2ⁿ is not.
  exp_: {
    code: `fn exp_(value: f32) -> f32 {
  let x = select(select(value, -104.0, value < -104.0), 89.0, value > 89.0); // not clamp, which loses NaN
  let n = floor(fma(x, 1.44269504, 0.5));
  let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, x));
  var p = fma(r, 1.98412698e-4, 1.38888889e-3);
  p = fma(p, r, 8.33333333e-3);
  p = fma(p, r, 4.16666667e-2);
  p = fma(p, r, 1.66666667e-1);
  p = fma(p, r, 0.5);
  p = fma(p, r, 1.0);
  p = fma(p, r, 1.0);
  let whole = i32(n);
  let half = whole >> 1u;
  return p * bitcast<f32>((half + 127) << 23u) * bitcast<f32>((whole - half + 127) << 23u);
}`,
  },
  expm1_: {
    calls: ["exp_"],
    code: `fn expm1_(x: f32) -> f32 {
  if (abs(x) > 0.35) { return exp_(x) - 1.0; }
  var p = fma(x, 2.48015873e-5, 1.98412698e-4);
  p = fma(p, x, 1.38888889e-3);
  p = fma(p, x, 8.33333333e-3);
  p = fma(p, x, 4.16666667e-2);
  p = fma(p, x, 1.66666667e-1);
  p = fma(p, x, 0.5);
  return fma(p * x, x, x);
}`,
  },
  sigmoid_: {
    calls: ["exp_"],
    code: `fn sigmoid_(x: f32) -> f32 {
  let e = exp_(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}`,
  },
  tanh_: {
    calls: ["exp_"],
    code: `fn tanh_(x: f32) -> f32 {
  let a = abs(x);
  let z = x * x;
  var p = fma(z, 2.18694886e-2, -5.39682540e-2);
  p = fma(p, z, 1.33333333e-1);
  p = fma(p, z, -3.33333333e-1);
  let t = 1.0 - 2.0 / (exp_(2.0 * select(a, 20.0, a > 20.0)) + 1.0);
  return select(select(t, -t, x < 0.0), fma(p * z, x, x), a < 0.25);
}`,
  },
  // ln(2ᵉ · m) with m between 1/√2 and √2, and ln m by s = (m - 1)/(m + 1).
  log_: {
    code: `fn log_(x: f32) -> f32 {
  if (x == 0.0) { return bitcast<f32>(special(0xff800000u)); }
  if (x < 0.0) { return bitcast<f32>(special(0x7fc00000u)); }
  let bits = bitcast<i32>(x);
  if (bits >= 0x7f800000) { return x; }
  let e = (bits - 0x3f3504f3) >> 23u;
  let f = bitcast<f32>(bits - (e << 23u)) - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  var r = fma(z, 2.22221985e-1, 2.85714287e-1);
  r = fma(r, z, 4.00000006e-1);
  r = fma(r, z, 6.66666667e-1) * z;
  let h = 0.5 * f * f;
  let n = f32(e);
  return n * 0.693359375 - ((h - (s * (h + r) - n * 2.12194440e-4)) - f);
}`,
  },
  log1p_: {
    calls: ["log_"],
    code: `fn log1p_(x: f32) -> f32 {
  if (abs(x) > 0.1) { return log_(1.0 + x); }
  var p = fma(x, 1.11111111e-1, -0.125);
  p = fma(p, x, 1.42857143e-1);
  p = fma(p, x, -1.66666667e-1);
  p = fma(p, x, 0.2);
  p = fma(p, x, -0.25);
  p = fma(p, x, 3.33333333e-1);
  p = fma(p, x, -0.5);
  return fma(p * x, x, x);
}`,
  },
  // Abramowitz and Stegun, 7.1.26, and Taylor's polynomial near zero.
  erf_: {
    calls: ["exp_"],
    code: `fn erf_(x: f32) -> f32 {
  let a = abs(x);
  if (a < 0.5) {
    let z = x * x;
    var p = fma(z, -7.57575758e-4, 4.62962963e-3);
    p = fma(p, z, -2.38095238e-2);
    p = fma(p, z, 0.1);
    p = fma(p, z, -3.33333333e-1);
    return 1.12837917 * fma(p * z, x, x);
  }
  let t = 1.0 / fma(0.3275911, a, 1.0);
  var q = fma(t, 1.061405429, -1.453152027);
  q = fma(q, t, 1.421413741);
  q = fma(q, t, -0.284496736);
  q = fma(q, t, 0.254829592);
  let e = 1.0 - q * t * exp_(-a * a);
  return select(e, -e, x < 0.0);
}`,
  },
  // To a multiple of π/2 in three parts, then the polynomials of Cephes' sinf and cosf.
  sine: {
    code: `fn sine(x: f32, quarters: i32) -> f32 {
  let n = floor(fma(x, 0.636619772, 0.5));
  let r = fma(n, -7.54978995e-8, fma(n, -4.83751297e-4, fma(n, -1.5703125, x)));
  let z = r * r;
  let quadrant = (i32(n) + quarters) & 3;
  let s = fma(fma(fma(z, -1.9515295891e-4, 8.3321608736e-3), z, -1.6666654611e-1) * z, r, r);
  let c = fma(fma(fma(z, 2.443315711809948e-5, -1.388731625493765e-3), z, 4.166664568298827e-2) * z, z, fma(z, -0.5, 1.0));
  let value = select(s, c, (quadrant & 1) == 1);
  return select(value, -value, quadrant >= 2);
}`,
  },
  sin_: { calls: ["sine"], code: "fn sin_(x: f32) -> f32 { return sine(x, 0); }" },
  cos_: { calls: ["sine"], code: "fn cos_(x: f32) -> f32 { return sine(x, 1); }" },
  pow_: {
    calls: ["exp_", "log_"],
    code: `fn pow_(a: f32, b: f32) -> f32 {
  if (b == 0.0) { return 1.0; }
  let odd = fract(abs(b) * 0.5) == 0.5;
  if (a == 0.0) {
    let size = select(0.0, bitcast<f32>(special(0x7f800000u)), b < 0.0);
    return select(size, -size, odd && bitcast<u32>(a) != 0u);
  }
  let size = exp_(b * log_(abs(a)));
  if (a > 0.0) { return size; }
  if (b != floor(b)) { return bitcast<f32>(special(0x7fc00000u)); }
  return select(size, -size, odd);
}`,
  },
  isNan: {
    code: "fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }",
  },
  max_: {
    calls: ["isNan"],
    code: "fn max_(a: f32, b: f32) -> f32 { return select(select(b, a, a > b), a, isNan(a)); }",
  },
  min_: {
    calls: ["isNan"],
    code: "fn min_(a: f32, b: f32) -> f32 { return select(select(b, a, a < b), a, isNan(a)); }",
  },
  sign_: {
    calls: ["isNan"],
    code: "fn sign_(x: f32) -> f32 { return select(sign(x), x, isNan(x)); }",
  },
  divideInt: {
    code: `fn divideInt(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  if (b == -1) { return -a; }
  return a / b;
}`,
  },
  powInt: {
    code: `fn powInt(a: i32, b: i32) -> i32 {
  if (b < 0) { return select(select(0, select(-1, 1, (b & 1) == 0), a == -1), 1, a == 1); }
  var power = 1;
  var square = a;
  for (var rest = b; rest > 0; rest = rest >> 1u) {
    if ((rest & 1) == 1) { power = power * square; }
    square = square * square;
  }
  return power;
}`,
  },
};

/** The bits of a float that WGSL has no literal for; a variable, so that no compiler computes with it. */
export const SPECIAL = `var<private> nothing: u32 = 0u;
fn special(bits: u32) -> u32 { return bits | nothing; }`;

/** The functions of these names and what they call, in an order in which each comes after what it calls. */
export function functionSources(names: Iterable<string>): string[] {
  const written = new Set<string>();
  const write = (name: string): void => {
    if (written.has(name)) return;
    const source = SOURCES[name];
    if (!source) throw new Error(`There is no WGSL function ${name}`);
    for (const called of source.calls ?? []) write(called);
    written.add(name);
  };
  for (const name of names) write(name);
  return [...written].map((name) => SOURCES[name].code);
}
