/** Functions made of several primitives that a compiler could change. */
import {
  abs,
  add,
  cast,
  div,
  equal,
  exp,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  select,
  sqrt,
  sub,
  type Tensor,
} from "../../mod.ts";

/**
 * What compilers for graphics processors like to make other than it is written, since they may assume that there is
 * neither NaN nor infinity: functions of the same pairs of floats.
 */
export const compositions: Readonly<
  Record<
    string,
    readonly [
      fn: (a: Tensor, b: Tensor) => Tensor,
      definition: (a: number, b: number) => number,
    ]
  >
> = {
  "a - a": [(a) => sub(a, a), (a) => a - a],
  "a / a": [(a) => div(a, a), (a) => a / a],
  "a · 0": [(a) => mul(a, 0), (a) => a * 0],
  "0 · a": [(a) => mul(0, a), (a) => 0 * a],
  "a · 0 + b": [(a, b) => add(mul(a, 0), b), (a, b) => a * 0 + b],
  "a + -a": [(a) => add(a, neg(a)), (a) => a - a],
  "(a + b) - a": [(a, b) => sub(add(a, b), a), (a, b) => Math.fround(a + b) - a],
  "(a - b) + b": [(a, b) => add(sub(a, b), b), (a, b) => Math.fround(a - b) + b],
  "1 / 0 - a": [(a) => sub(div(1, 0), a), (a) => Infinity - a],
  "a / 0": [(a) => div(a, 0), (a) => a / 0],
  "a / -0": [(a) => div(a, -0), (a) => a / -0],
  "0 / a": [(a) => div(0, a), (a) => 0 / a],
  "a · 1e30 · 1e30": [
    (a) => mul(mul(a, 1e30), 1e30),
    (a) => Math.fround(a * Math.fround(1e30)) * Math.fround(1e30),
  ],
  "(a + 2²⁴) - 2²⁴": [(a) => sub(add(a, 2 ** 24), 2 ** 24), (a) => Math.fround(a + 2 ** 24) - 2 ** 24],
  "a · [b > 0]": [(a, b) => mul(a, cast(less(0, b), "float32")), (a, b) => a * Number(b > 0)],
  "a · [b > 0] + b · (1 - [b > 0])": [
    (a, b) => {
      const c = cast(less(0, b), "float32");
      return add(mul(a, c), mul(b, sub(1, c)));
    },
    (a, b) => a * Number(b > 0) + b * (1 - Number(b > 0)),
  ],
  "not a < b": [(a, b) => cast(not(less(a, b)), "float32"), (a, b) => Number(!(a < b))],
  "not a ≤ b": [(a, b) => cast(not(lessEqual(a, b)), "float32"), (a, b) => Number(!(a <= b))],
  "not a = b": [(a, b) => cast(not(equal(a, b)), "float32"), (a, b) => Number(a !== b)],
  "a = a": [(a) => cast(equal(a, a), "float32"), (a) => Number(a === a)],
  "a ≤ a": [(a) => cast(lessEqual(a, a), "float32"), (a) => Number(a <= a)],
  "a < b ? a : b": [(a, b) => select(less(a, b), a, b), (a, b) => a < b ? a : b],
  "a < b ? b : a": [(a, b) => select(less(a, b), b, a), (a, b) => a < b ? b : a],
  "a limited to 0…1": [(a) => minimum(maximum(a, 0), 1), (a) => Math.min(Math.max(a, 0), 1)],
  "√(a²)": [(a) => sqrt(mul(a, a)), (a) => Math.sqrt(Math.fround(a * a))],
  "√a · √a": [(a) => mul(sqrt(a), sqrt(a)), (a) => Math.fround(Math.sqrt(a)) ** 2],
  "1 / (1 / a)": [(a) => div(1, div(1, a)), (a) => 1 / Math.fround(1 / a)],
  "(a · b) / b": [(a, b) => div(mul(a, b), b), (a, b) => Math.fround(a * b) / b],
  "a · b - a · |b|": [
    (a, b) => sub(mul(a, b), mul(a, abs(b))),
    (a, b) => Math.fround(a * b) - Math.fround(a * Math.abs(b)),
  ],
  "a · b - a · b": [(a, b) => sub(mul(a, b), mul(a, b)), (a, b) => Math.fround(a * b) - Math.fround(a * b)],
  "log(e^a)": [(a) => log(exp(a)), (a) => Math.log(Math.fround(Math.exp(a)))],
  "|a| = ∞": [(a) => cast(equal(abs(a), Infinity), "float32"), (a) => Number(Math.abs(a) === Infinity)],
  "a < ∞": [(a) => cast(less(a, Infinity), "float32"), (a) => Number(a < Infinity)],
};
