/**
 * The functions of `kernels/math` in WGSL: its form of each word. WGSL may assume that NaN and infinity do
 * not exist, and may rewrite sums as for real numbers: `rounded` values are hidden from that, and NaN is
 * selected by its bits.
 */
import { bodyOf, type Language, type Phrase } from "../../math/text.ts";
import type { MathFunction } from "../../math/vocabulary.ts";
import { literal } from "./address.ts";

/** The text without its outer parentheses. */
function bare(text: string): string {
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

const choose: Phrase = { say: ([mask, a, b]) => `select(${bare(b)}, ${bare(a)}, ${bare(mask)})` };

/** A float in as few digits as it needs; there is no literal for those that are not finite. */
function float(value: number): string {
  if (!Number.isFinite(value)) return literal(value, "float32");
  const digits = Array.from({ length: 9 }, (_, index) => Number(value.toPrecision(index + 1)));
  const shortest = digits.find((each) => Math.fround(each) === value) ?? value;
  return Number.isInteger(shortest) ? shortest.toFixed(1) : `${shortest}`;
}

/** An integer, with bits in hexadecimal. */
function integer(value: number): string {
  return value >= 0 && value < 1000 ? `${value}` : `i32(0x${(value >>> 0).toString(16)}u)`;
}

const WGSL: Language = {
  phrases: {
    number: { say: (_, [value]) => float(value) },
    add: operator("+"),
    sub: operator("-"),
    mul: operator("*"),
    div: operator("/"),
    fma: call("fma"),
    atMost: call("min"),
    atLeast: call("max"),
    floor: call("floor"),
    rounded: call("hidden", ["hidden"]),
    orNan: { say: ([result, x]) => `select(${bare(result)}, ${x}, isNan(${x}))`, calls: ["isNan"] },
    // TripCount to nearest, halves up.
    whole: {
      say: ([x], [scale]) =>
        scale === 1 ? `floor(${x} + 0.5)` : `floor(fma(${bare(x)}, ${float(scale)}, 0.5))`,
    },
    floatOf: { say: ([n]) => n },
    lowBits: { say: ([n], [bias]) => `(i32(${n}) + ${bias})` },
    turn: { say: ([bits]) => `reduceTurns(bitcast<u32>(${bare(bits)}))`, calls: ["reduceTurns"] },
    quarterOf: { say: ([turned]) => `${turned}.quarter` },
    restOf: { say: ([turned]) => `${turned}.rest` },
    integer: { say: (_, [value]) => integer(value) },
    addInt: operator("+"),
    subInt: operator("-"),
    minInt: call("min"),
    and: operator("&"),
    or: operator("|"),
    xor: operator("^"),
    shiftLeft: { say: ([x], [by]) => `(${x} << ${by}u)` },
    shiftRight: { say: ([x], [by]) => `(${x} >> ${by}u)` },
    bitsOf: call("bitcast<i32>"),
    ofBits: call("bitcast<f32>"),
    toFloat: call("f32"),
    less: operator("<"),
    equal: operator("=="),
    lessInt: operator("<"),
    equalInt: operator("=="),
    both: operator("&&"),
    either: operator("||"),
    not: { say: ([mask]) => `!${mask}` },
    choose,
    chooseInt: choose,
  },
  declare: (name, value) => `let ${name} = ${bare(value)};`,
};

/** The text of a function, and the functions of `functions.ts` that it calls. */
export function functionSource(
  name: string,
  fn: MathFunction,
): { readonly code: string; readonly calls: readonly string[] } {
  const { statements, result, calls } = bodyOf(fn, WGSL);
  const parameters = fn.parameters.map((parameter) => `${parameter}: f32`).join(", ");
  const lines = [...statements, `return ${bare(result)};`].map((line) => `  ${line}`).join("\n");
  return { code: `fn ${name}(${parameters}) -> f32 {\n${lines}\n}`, calls };
}
