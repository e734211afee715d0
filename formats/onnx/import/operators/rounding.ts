/** Rounding as ONNX rounds: halves go to the even neighbor. */
import {
  add,
  and,
  cast,
  equal,
  floor,
  greater,
  mul,
  notEqual,
  or,
  sub,
} from "../../../../src/operations/elementwise.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";

/** The nearest whole number, and of two the even one. */
export function roundToEven(x: Tensor): Tensor {
  const down = floor(x);
  const rest = sub(x, down);
  const odd = notEqual(mul(floor(mul(down, 0.5)), 2), down);
  const up = or(greater(rest, 0.5), and(equal(rest, 0.5), odd));
  return add(down, cast(up, x.dtype));
}
