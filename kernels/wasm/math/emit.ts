/** The functions of `kernels/math` as instructions on f32x4: the wasm form of each word. */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import { type Expression, isConstant, type MathFunction, readsOf, type Word } from "../../math/vocabulary.ts";
import { bits, constant } from "./constants.ts";
import { type Reduced, reduceTurns } from "./turns.ts";

/** Writes code that pops f32x4 operands from the stack and pushes one f32x4. */
export type VectorEmitter = (f: FunctionBuilder, features: Features) => void;

/** A function being written: `push` leaves the value of an expression on the stack. */
interface Writer {
  readonly f: FunctionBuilder;
  readonly features: Features;
  readonly push: (expression: Expression) => void;
  /** The results of a `turn`. */
  readonly turned: (expression: Expression) => Reduced;
}

/**
 * Words that need no instructions: a vector holds floats or integers alike, and NaN and rounding follow IEEE
 * 754.
 */
const SILENT = ["rounded", "orNan", "bitsOf", "ofBits"] as const;
type Silent = (typeof SILENT)[number];

/** 1.5·2²³: adding it rounds a small float to an integer, which then lies in the low bits of the sum. */
const ROUNDING = 12582912;

type Say = (writer: Writer, expression: Expression) => void;

/** Pushes the operands, then an instruction. */
function instruction(name: Parameters<FunctionBuilder["op"]>[0]): Say {
  return ({ f, push }, { operands }) => {
    operands.forEach(push);
    f.op(name);
  };
}

function shift(name: "i32x4.shl" | "i32x4.shr_s"): Say {
  return ({ f, push }, { operands: [x], numbers: [by] }) => {
    push(x);
    f.i32(by).op(name);
  };
}

/** a·b + c; rounded once or twice, depending on the engine. */
function multiplyAdd({ f, features }: Writer, factors: () => void, addend: () => void): void {
  factors();
  if (features.relaxed) {
    addend();
    f.op("f32x4.relaxed_madd");
  } else {
    f.op("f32x4.mul");
    addend();
    f.op("f32x4.add");
  }
}

/**
 * In a vector a mask is all ones or all zeros: all ones are a NaN, and ANDing anything with a mask gives it
 * or 0.
 */
const choose: Say = ({ f, features, push }, { operands: [mask, a, b] }) => {
  if (isConstant(b) && Object.is(b.numbers[0], 0)) {
    push(a);
    push(mask);
    f.op("v128.and");
  } else if (isConstant(a) && Number.isNaN(a.numbers[0])) {
    push(b);
    push(mask);
    f.op("v128.or");
  } else {
    push(a);
    push(b);
    push(mask);
    f.op(features.relaxed ? "i32x4.relaxed_laneselect" : "v128.bitselect");
  }
};

const INSTRUCTIONS: { readonly [W in Exclude<Word, Silent | "parameter" | "turn">]: Say } = {
  number: ({ f }, { numbers: [value] }) => constant(f, value),
  add: instruction("f32x4.add"),
  sub: instruction("f32x4.sub"),
  mul: instruction("f32x4.mul"),
  div: instruction("f32x4.div"),
  fma: (writer, { operands: [a, b, c] }) =>
    multiplyAdd(writer, () => [a, b].forEach(writer.push), () => writer.push(c)),
  // `pmin(x, c)` and `pmax(x, c)` are x if x is NaN, and one instruction, while `min` and `max` are several.
  atMost: instruction("f32x4.pmin"),
  atLeast: instruction("f32x4.pmax"),
  floor: instruction("f32x4.floor"),

  whole: (writer, { operands: [x], numbers: [scale, bias] }) => {
    const { f, push } = writer;
    push(x);
    if (scale === 1) constant(f, ROUNDING + bias).op("f32x4.add");
    else multiplyAdd(writer, () => constant(f, scale), () => constant(f, ROUNDING + bias));
  },
  floatOf: ({ f, push }, { operands: [n], numbers: [bias] }) => {
    push(n);
    constant(f, ROUNDING + bias).op("f32x4.sub");
  },
  lowBits: ({ push }, { operands: [n] }) => push(n),

  quarterOf: ({ f, turned }, { operands: [turn] }) => f.get(turned(turn).n),
  restOf: ({ f, turned }, { operands: [turn] }) => f.get(turned(turn).r),

  integer: ({ f }, { numbers: [value] }) => bits(f, value),
  addInt: instruction("i32x4.add"),
  subInt: instruction("i32x4.sub"),
  minInt: instruction("i32x4.min_s"),
  and: instruction("v128.and"),
  or: instruction("v128.or"),
  xor: instruction("v128.xor"),
  shiftLeft: shift("i32x4.shl"),
  shiftRight: shift("i32x4.shr_s"),
  toFloat: instruction("f32x4.convert_i32x4_s"),

  less: instruction("f32x4.lt"),
  equal: instruction("f32x4.eq"),
  lessInt: instruction("i32x4.lt_s"),
  equalInt: instruction("i32x4.eq"),
  both: instruction("v128.and"),
  either: instruction("v128.or"),
  not: instruction("v128.not"),
  choose,
  chooseInt: choose,
};

function isSilent(word: Word): word is Silent {
  return (SILENT as readonly Word[]).includes(word);
}

/** The instructions for an expression. */
function spoken(expression: Expression): Expression {
  return isSilent(expression.word) ? spoken(expression.operands[0]) : expression;
}

/** The emitter of a function: what is read more than once is kept in a local. */
export function vectorEmitter({ parameters, result }: MathFunction): VectorEmitter {
  const reads = readsOf(result, spoken);
  return (f, features) => {
    const arguments_ = parameters.map(() => f.local(v128));
    for (const local of arguments_.toReversed()) f.set(local);
    const locals = new Map<Expression, Local>();
    const turns = new Map<Expression, Reduced>();
    const turned = (turn: Expression): Reduced => {
      const known = turns.get(turn);
      if (known) return known;
      push(turn.operands[0]);
      const reduced = reduceTurns(f);
      turns.set(turn, reduced);
      return reduced;
    };
    const push = (given: Expression): void => {
      const expression = spoken(given);
      const { word } = expression;
      const known = word === "parameter" ? arguments_[expression.numbers[0]] : locals.get(expression);
      if (known !== undefined) {
        f.get(known);
        return;
      }
      if (word === "parameter" || word === "turn" || isSilent(word)) return; // none of these gets here
      INSTRUCTIONS[word]({ f, features, push, turned }, expression);
      if (isConstant(expression) || reads.get(expression) === 1) return;
      const local = f.local(v128);
      f.tee(local);
      locals.set(expression, local);
    };
    push(result);
  };
}
