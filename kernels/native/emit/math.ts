/** The functions of `kernels/math` in C, on vectors: its form of each word. */
import { RESERVED } from "./identifiers.ts";
import { mathFunctions, type MathName } from "../../math/mod.ts";
import { bodyOf, type Language, type Phrase } from "../../math/text.ts";
import { TWO_OVER_PI } from "../../math/trigonometric.ts";
import type { MathFunction, Type } from "../../math/vocabulary.ts";

/** 1.5·2²³: adding it rounds a small float to an integer, which then lies in the low bits of the sum. */
const ROUNDING = 12582912;

/** The C type of each type of value. */
const TYPES: { readonly [T in Type]: string } = {
  float: "vf",
  int: "vi",
  mask: "mask",
  whole: "vf",
  turn: "struct turned",
};

/** The text without its outer parentheses. */
export function bare(text: string): string {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")") depth--;
    if (depth === 0) return at > 0 && at === text.length - 1 && text[0] === "(" ? text.slice(1, -1) : text;
  }
  return text;
}

function operator(sign: string): Phrase {
  return { say: ([a, b]) => `(${a} ${sign} ${b})` };
}

function call(name: string, calls?: readonly string[]): Phrase {
  return { say: (operands) => `${name}(${operands.map(bare).join(", ")})`, calls };
}

/** A float in as few digits as it needs. */
export function float(value: number): string {
  if (Number.isNaN(value)) return '__builtin_nanf("")';
  if (!Number.isFinite(value)) return `${value < 0 ? "-" : ""}__builtin_inff()`;
  if (Object.is(value, -0)) return "-0.0f";
  const digits = Array.from({ length: 9 }, (_, index) => Number(value.toPrecision(index + 1)));
  const shortest = digits.find((each) => Math.fround(each) === value) ?? value;
  const text = `${shortest}`;
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/** An integer, with bits in hexadecimal. */
export function integer(value: number): string {
  if (value >= -1000 && value < 1000) return `${value}`;
  return `(int32_t)0x${(value >>> 0).toString(16)}`;
}

const C: Language = {
  phrases: {
    number: { say: (_, [value]) => `v_number(${float(value)})` },
    add: operator("+"),
    sub: operator("-"),
    mul: operator("*"),
    div: operator("/"),
    fma: call("v_fma"),
    atMost: call("v_at_most"),
    atLeast: call("v_at_least"),
    floor: call("v_floor"),
    rounded: { say: ([x]) => x },
    orNan: { say: ([result]) => result },
    whole: {
      say: ([x], [scale, bias]) =>
        scale === 1
          ? `(${x} + v_number(${float(ROUNDING + bias)}))`
          : `v_fma(${bare(x)}, v_number(${float(scale)}), v_number(${float(ROUNDING + bias)}))`,
    },
    floatOf: { say: ([n], [bias]) => `(${n} - v_number(${float(ROUNDING + bias)}))` },
    lowBits: { say: ([n]) => `((vi)${n})` },
    turn: call("reduce_turns", ["reduce_turns"]),
    quarterOf: { say: ([turned]) => `${turned}.quarter` },
    restOf: { say: ([turned]) => `${turned}.rest` },
    integer: { say: (_, [value]) => `v_integer(${integer(value)})` },
    addInt: operator("+"),
    subInt: operator("-"),
    minInt: call("v_minimum_int"),
    and: operator("&"),
    or: operator("|"),
    xor: operator("^"),
    shiftLeft: { say: ([x], [by]) => `(${x} << ${by})` },
    shiftRight: { say: ([x], [by]) => `(${x} >> ${by})` },
    bitsOf: { say: ([x]) => `((vi)${x})` },
    ofBits: { say: ([x]) => `((vf)${x})` },
    toFloat: call("v_to_float"),
    less: call("v_less"),
    equal: call("v_equal"),
    lessInt: call("v_less_int"),
    equalInt: call("v_equal_int"),
    both: call("v_both"),
    either: call("v_either"),
    not: call("v_not"),
    choose: call("v_choose"),
    chooseInt: call("v_choose_int"),
  },
  declare: (name, value, type) => `const ${TYPES[type]} ${name} = ${bare(value)};`,
  reserved: RESERVED,
};

/**
 * The reduction of floats by π/2. Up to 2²⁰, n·π/2 is subtracted in double; π/2 is in two parts, the first with few
 * enough bits that its product with n is exact (W. J. Cody, W. Waite, "Software Manual for the Elementary Functions",
 * 1980, chapter 8). Beyond that, lane by lane, the significand is multiplied by those digits of 2/π that matter.
 */
const REDUCE_TURNS = `/* x = n * pi/2 + r, for the bits of a float x that is not negative. */
struct turned { vi quarter; vf rest; };
__attribute__((unused)) static void reduce_far_turns(uint32_t size, int32_t *quarter, float *rest) {
  static const uint32_t two_over_pi[${TWO_OVER_PI.length}] = {${
  TWO_OVER_PI.map((word) => `0x${word.toString(16)}u`).join(", ")
}};
  const uint32_t at = (size >> 23) - 120, word = at / 32 < ${TWO_OVER_PI.length - 4} ? at / 32 : ${
  TWO_OVER_PI.length - 4
}, shift = at % 32;
  uint64_t digits[3];
  for (int i = 0; i < 3; i++) {
    const uint64_t pair = (uint64_t)two_over_pi[word + i] << 32 | two_over_pi[word + i + 1];
    digits[i] = (uint64_t)(pair << shift) >> 32;
  }
  const uint64_t significand = (size & 0x7fffff) | 0x800000;
  const uint64_t turns = (digits[0] << 32 | digits[1]) * significand + (digits[2] * significand >> 32);
  *quarter = (int32_t)((turns + (1ull << 61)) >> 62);
  *rest = (float)((double)(int64_t)(turns << 2) * ${Math.PI * 2 ** -65});
}
INLINE struct turned reduce_turns(vi size) {
  const vd wide = v_wide((vf)size);
  const vd whole = (wide * ${2 / Math.PI} + 6755399441055744.0) - 6755399441055744.0;
  const vd near = wide - whole * 1.57079632673412561417 - whole * 6.07710050630396597660e-11;
  const mask is_far = v_less_int(v_integer(0x49800000 - 1), size);
  const vd none = {0};
  struct turned t;
  t.rest = v_narrow(near);
  if (!v_any(is_far)) {
    t.quarter = __builtin_convertvector(whole, vi);
    return t;
  }
  vd small = none;
  for (int i = 0; i < LANES; i++) if (size[i] < 0x49800000) small[i] = whole[i];
  t.quarter = __builtin_convertvector(small, vi);
  for (int i = 0; i < LANES; i++) {
    if (size[i] < 0x49800000) continue;
    int32_t quarter;
    float rest;
    reduce_far_turns((uint32_t)size[i], &quarter, &rest);
    t.quarter[i] = quarter;
    t.rest[i] = rest;
  }
  return t;
}`;

/** The C of a function, and what it calls besides. */
interface Source {
  readonly code: string;
  readonly calls: readonly string[];
}

/** Of the functions that were called so far: most Programs call few. */
const sources = new Map<MathName, Source>();

function sourceOf(name: MathName): Source {
  const known = sources.get(name);
  if (known) return known;
  const fn: MathFunction = mathFunctions[name];
  const { statements, result, calls } = bodyOf(fn, C);
  const parameters = fn.parameters.map((parameter) => `vf ${parameter}`).join(", ");
  const lines = [...statements, `return ${bare(result)};`].map((line) => `  ${line}`).join("\n");
  const source = { code: `INLINE vf v_${name}(${parameters}) {\n${lines}\n}`, calls };
  sources.set(name, source);
  return source;
}

/** The functions with these names, and what they call. */
export function mathSource(names: ReadonlySet<MathName>): string {
  const used = [...names].sort().map(sourceOf);
  const turns = used.some(({ calls }) => calls.includes("reduce_turns"));
  return [...(turns ? [REDUCE_TURNS] : []), ...used.map(({ code }) => code)].join("\n");
}
