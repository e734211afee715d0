/**
 * The words in which the functions of this folder are written, each with the types of its operands and of its
 * result, and a constructor for each. An expression is plain data; functions build everything else from these
 * words in their own files.
 *
 * Floats are float32; integers have 32 bits and wrap. A language need not guarantee IEEE 754, and may treat
 * denormals as 0: anything that depends on NaN, infinity or denormals tests the bits. Integers converted from
 * NaN may have any value, but nothing traps.
 */

/** The operands and the result of each word. */
export const VOCABULARY = {
  /** An operand of the function, by its index. */
  parameter: { operands: [], result: "float" },
  number: { operands: [], result: "float" },
  add: { operands: ["float", "float"], result: "float" },
  sub: { operands: ["float", "float"], result: "float" },
  mul: { operands: ["float", "float"], result: "float" },
  div: { operands: ["float", "float"], result: "float" },
  /** a·b + c, rounded once or twice. */
  fma: { operands: ["float", "float", "float"], result: "float" },
  /** The smaller, and the larger, of a float and a limit; NaN for NaN if the language has NaN. */
  atMost: { operands: ["float", "float"], result: "float" },
  atLeast: { operands: ["float", "float"], result: "float" },
  floor: { operands: ["float"], result: "float" },
  /** The float as rounded: what is computed with it must not be simplified as if it were a real number. */
  rounded: { operands: ["float"], result: "float" },
  /** The result, or NaN if the second operand is NaN: used only if that does not follow from IEEE 754. */
  orNan: { operands: ["float", "float"], result: "float" },

  /** n, the integer next to a float times a scale, below 2²¹; and a bias that is added to its bits. */
  whole: { operands: ["float"], result: "whole" },
  /** n. */
  floatOf: { operands: ["whole"], result: "float" },
  /** n + bias in the low 22 bits; the higher bits are unspecified. */
  lowBits: { operands: ["whole"], result: "int" },

  /**
   * n and r of a float from 0 to the largest, given by its bits: the float is n·π/2 + r with |r| <= π/4 and r
   * rounded once or twice. For infinity and NaN they are unspecified.
   */
  turn: { operands: ["int"], result: "turn" },
  /** n, in the lowest two bits; the higher bits are unspecified. */
  quarterOf: { operands: ["turn"], result: "int" },
  restOf: { operands: ["turn"], result: "float" },

  integer: { operands: [], result: "int" },
  addInt: { operands: ["int", "int"], result: "int" },
  subInt: { operands: ["int", "int"], result: "int" },
  minInt: { operands: ["int", "int"], result: "int" },
  and: { operands: ["int", "int"], result: "int" },
  or: { operands: ["int", "int"], result: "int" },
  xor: { operands: ["int", "int"], result: "int" },
  /** By a constant number of bits; the right shift copies the sign. */
  shiftLeft: { operands: ["int"], result: "int" },
  shiftRight: { operands: ["int"], result: "int" },
  /** The bits of a float, and the float of these bits. */
  bitsOf: { operands: ["float"], result: "int" },
  ofBits: { operands: ["int"], result: "float" },
  /** The float nearest to an integer. */
  toFloat: { operands: ["int"], result: "float" },

  less: { operands: ["float", "float"], result: "mask" },
  equal: { operands: ["float", "float"], result: "mask" },
  lessInt: { operands: ["int", "int"], result: "mask" },
  equalInt: { operands: ["int", "int"], result: "mask" },
  both: { operands: ["mask", "mask"], result: "mask" },
  either: { operands: ["mask", "mask"], result: "mask" },
  not: { operands: ["mask"], result: "mask" },
  /** The first if the mask holds, else the second. Both are computed. */
  choose: { operands: ["mask", "float", "float"], result: "float" },
  chooseInt: { operands: ["mask", "int", "int"], result: "int" },
} as const satisfies Readonly<Record<string, Signature>>;

interface Signature {
  readonly operands: readonly Type[];
  readonly result: Type;
}

/**
 * The type of a value: the representation of `whole` and `turn` is up to the language; they give a float and
 * an integer.
 */
export type Type = "float" | "int" | "mask" | "whole" | "turn";
export type Word = keyof typeof VOCABULARY;

/** A word with its operands. */
export interface Expression<T extends Type = Type> {
  readonly word: Word;
  readonly type: T;
  readonly operands: readonly Expression[];
  /**
   * The constants of the word itself: a value, the number of bits, scale and bias, or the bias of the
   * operand.
   */
  readonly numbers: readonly number[];
  /** Its name in languages that write one. */
  readonly name?: string;
}

export type Float = Expression<"float">;
export type Int = Expression<"int">;
export type Mask = Expression<"mask">;
export type Whole = Expression<"whole">;
export type Turn = Expression<"turn">;

/** A function of floats. */
export interface MathFunction {
  readonly parameters: readonly string[];
  readonly result: Float;
}

/** Whether an expression is a constant. */
export function isConstant({ word }: Expression): boolean {
  return word === "number" || word === "integer";
}

/** How often every expression in `result` is read; `see` maps an expression to its form in the language. */
export function readsOf(
  result: Expression,
  see: (expression: Expression) => Expression = (expression) => expression,
): ReadonlyMap<Expression, number> {
  const reads = new Map<Expression, number>();
  const read = (expression: Expression): void => {
    const count = reads.get(expression) ?? 0;
    reads.set(expression, count + 1);
    if (count === 0) expression.operands.forEach((operand) => read(see(operand)));
  };
  read(see(result));
  return reads;
}

type Operands<T extends readonly Type[]> = { readonly [K in keyof T]: Expression<T[K]> };

function say<W extends Word>(
  word: W,
  numbers: readonly number[],
  operands: Operands<(typeof VOCABULARY)[W]["operands"]>,
): Expression<(typeof VOCABULARY)[W]["result"]> {
  return { word, type: VOCABULARY[word].result, operands, numbers };
}

/** The function of these parameters. */
export function define(
  parameters: readonly string[],
  body: (...operands: readonly Float[]) => Float,
): MathFunction {
  const operands = () => parameters.map((name, index): Float => ({ ...say("parameter", [index], []), name }));
  let result: Float | undefined;
  // Made when it is first asked for: most Programs call few functions, and a start should not wait for the others.
  return {
    parameters,
    get result() {
      return result ??= body(...operands());
    },
  };
}

/** The same expression under a name. */
export function named<T extends Type>(name: string, expression: Expression<T>): Expression<T> {
  return { ...expression, name };
}

/** A constant: the float32 nearest to the number. */
export const number = (value: number) => say("number", [Math.fround(value)], []);
export const add = (a: Float, b: Float) => say("add", [], [a, b]);
export const sub = (a: Float, b: Float) => say("sub", [], [a, b]);
export const mul = (a: Float, b: Float) => say("mul", [], [a, b]);
export const div = (a: Float, b: Float) => say("div", [], [a, b]);
export const fma = (a: Float, b: Float, c: Float) => say("fma", [], [a, b, c]);
export const atMost = (a: Float, limit: number) => say("atMost", [], [a, number(limit)]);
export const atLeast = (a: Float, limit: number) => say("atLeast", [], [a, number(limit)]);
export const floor = (a: Float) => say("floor", [], [a]);
export const rounded = (a: Float) => say("rounded", [], [a]);
export const orNan = (result: Float, a: Float) => say("orNan", [], [result, a]);

export const whole = (a: Float, { scale, bias }: { readonly scale: number; readonly bias: number }) =>
  say("whole", [Math.fround(scale), bias], [a]);
export const floatOf = (n: Whole) => say("floatOf", [n.numbers[1]], [n]);
export const lowBits = (n: Whole) => say("lowBits", [n.numbers[1]], [n]);

export const turn = (bits: Int) => say("turn", [], [bits]);
export const quarterOf = (turned: Turn) => say("quarterOf", [], [turned]);
export const restOf = (turned: Turn) => say("restOf", [], [turned]);

export const integer = (value: number) => say("integer", [value | 0], []);
export const addInt = (a: Int, b: Int) => say("addInt", [], [a, b]);
export const subInt = (a: Int, b: Int) => say("subInt", [], [a, b]);
export const minInt = (a: Int, b: Int) => say("minInt", [], [a, b]);
export const and = (a: Int, b: Int) => say("and", [], [a, b]);
export const or = (a: Int, b: Int) => say("or", [], [a, b]);
export const xor = (a: Int, b: Int) => say("xor", [], [a, b]);
export const shiftLeft = (a: Int, bits: number) => say("shiftLeft", [bits], [a]);
export const shiftRight = (a: Int, bits: number) => say("shiftRight", [bits], [a]);
export const bitsOf = (a: Float) => say("bitsOf", [], [a]);
export const ofBits = (a: Int) => say("ofBits", [], [a]);
export const toFloat = (a: Int) => say("toFloat", [], [a]);

export const less = (a: Float, b: Float) => say("less", [], [a, b]);
export const equal = (a: Float, b: Float) => say("equal", [], [a, b]);
export const lessInt = (a: Int, b: Int) => say("lessInt", [], [a, b]);
export const equalInt = (a: Int, b: Int) => say("equalInt", [], [a, b]);
export const both = (a: Mask, b: Mask) => say("both", [], [a, b]);
export const either = (a: Mask, b: Mask) => say("either", [], [a, b]);
export const not = (a: Mask) => say("not", [], [a]);
export const choose = (mask: Mask, a: Float, b: Float) => say("choose", [], [mask, a, b]);
export const chooseInt = (mask: Mask, a: Int, b: Int) => say("chooseInt", [], [mask, a, b]);
