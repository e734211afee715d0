/**
 * The functions of `kernels/math` in JavaScript, every operation rounded to float32: the words as they are defined, of
 * which no device takes another view.
 */
import { bodyOf, type Language, type Phrase } from "../../../kernels/math/text.ts";
import type { MathFunction } from "../../../kernels/math/vocabulary.ts";

function rounded(sign: string): Phrase {
  return { say: ([a, b]) => `fround(${a} ${sign} ${b})` };
}

function operator(sign: string): Phrase {
  return { say: ([a, b]) => `(${a} ${sign} ${b})` };
}

function call(name: string): Phrase {
  return { say: (operands) => `${name}(${operands.join(", ")})` };
}

const choose: Phrase = { say: ([mask, a, b]) => `(${mask} ? ${a} : ${b})` };
const same: Phrase = { say: ([x]) => x };

/** JavaScript, whose fma rounds once or twice. */
function javascript(fused: boolean): Language {
  return {
    phrases: {
      number: { say: (_, [value]) => `(${Object.is(value, -0) ? "-0" : value})` },
      add: rounded("+"),
      sub: rounded("-"),
      mul: rounded("*"),
      div: rounded("/"),
      fma: {
        say: ([a, b, c]) => fused ? `fround(${a} * ${b} + ${c})` : `fround(fround(${a} * ${b}) + ${c})`,
      },
      atMost: { say: ([a, limit]) => `(${limit} < ${a} ? ${limit} : ${a})` },
      atLeast: { say: ([a, limit]) => `(${limit} > ${a} ? ${limit} : ${a})` },
      floor: call("Math.floor"),
      rounded: same,
      orNan: same,
      whole: { say: ([x], [scale]) => `Math.floor(fround(fround(${x} * ${scale}) + 0.5))` },
      floatOf: same,
      lowBits: { say: ([n], [bias]) => `(${n} + ${bias} | 0)` },
      turn: call("turn"),
      quarterOf: { say: ([turned]) => `${turned}.quarter` },
      restOf: { say: ([turned]) => `${turned}.rest` },
      integer: { say: (_, [value]) => `(${value})` },
      addInt: { say: ([a, b]) => `(${a} + ${b} | 0)` },
      subInt: { say: ([a, b]) => `(${a} - ${b} | 0)` },
      minInt: call("Math.min"),
      and: operator("&"),
      or: operator("|"),
      xor: operator("^"),
      shiftLeft: { say: ([x], [by]) => `(${x} << ${by})` },
      shiftRight: { say: ([x], [by]) => `(${x} >> ${by})` },
      bitsOf: call("bitsOf"),
      ofBits: call("ofBits"),
      toFloat: call("fround"),
      less: operator("<"),
      equal: operator("==="),
      lessInt: operator("<"),
      equalInt: operator("==="),
      both: operator("&&"),
      either: operator("||"),
      not: { say: ([mask]) => `!${mask}` },
      choose,
      chooseInt: choose,
    },
    declare: (name, value) => `const ${name} = ${value};`,
  };
}

const BITS = `const fround = Math.fround, float = new Float32Array(1), int = new Int32Array(float.buffer);
function bitsOf(x) { float[0] = x; return int[0]; }
function ofBits(x) { int[0] = x; return float[0]; }`;

/** π/2 in 2⁻²⁵⁶. */
const HALF_PI = 0x1921fb54442d18469898cc51701b839a252049c1114cf98e804177d4c76273644n;

/** n and r of a float that is given by its bits: exactly, in integers. */
function turn(bits: number): { readonly quarter: number; readonly rest: number } {
  if (bits >= 0x7f800000) return { quarter: 0, rest: NaN };
  const exponent = Math.max(1, bits >> 23), significand = bits & 0x7fffff | (bits >> 23 === 0 ? 0 : 0x800000);
  // In 2⁻¹⁴⁹⁻²⁵⁶, which π/2 is brought to, so that both have what they need.
  const size = BigInt(significand) << BigInt(exponent - 1 + 256);
  const quarter = (2n * size + (HALF_PI << 149n)) / (HALF_PI << 150n);
  const rest = size - quarter * (HALF_PI << 149n);
  return { quarter: Number(quarter & 3n), rest: Math.fround(Number(rest) * 2 ** -405) };
}

/** A function of arrays, element by element, with what is multiplied and added rounded once or twice. */
export function inJavaScript(
  fn: MathFunction,
  { fused }: { readonly fused: boolean },
): (operands: readonly Float32Array[], results: Float32Array) => void {
  const { statements, result } = bodyOf(fn, javascript(fused));
  const parameters = fn.parameters.map((name, index) => `const ${name} = operands[${index}][i];`);
  const lines = [...parameters, ...statements, `results[i] = ${result};`].map((line) => `    ${line}`).join(
    "\n",
  );
  const code = `${BITS}
return (operands, results) => {
  for (let i = 0; i < results.length; i++) {
${lines}
  }
};`;
  return new Function("turn", code)(turn);
}
