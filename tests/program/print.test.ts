import { assert, assertEquals } from "@std/assert";
import { add, matmul, printProgram, scan, spec, tanh, type Tensor, tensor, trace, zeros } from "../../mod.ts";
import { sliceAxis } from "../../src/internal.ts";

const recurrence = (w: Tensor, xs: Tensor) =>
  scan(
    (h: Tensor, x: Tensor) => {
      const next = tanh(add(matmul(h, w), x));
      return [next, next];
    },
    zeros([xs.shape[0], 2]),
    xs,
    { reverse: true },
  );

Deno.test("a Program prints one line per equation, bodies indented, sizes by name", () => {
  const { program } = trace(recurrence, spec([2, 2]), spec([null, null, 2]));
  assertEquals(
    printProgram(program),
    `\
(%0: float32[2, 2], %1: float32[batch, time, 2]) => {
  %2 = constant 0 : float32[]
  %3 = broadcast %2 { shape: [batch, 2], axes: [] } : float32[batch, 2]
  %4, %5 = scan %0 %3 %1 { constants: 1, carries: 1, length: time, reverse } : float32[batch, 2], float32[batch, time, 2] (%6: float32[2, 2], %7: float32[batch, 2], %8: float32[batch, 2]) => {
    %9 = matmul %7 %6 : float32[batch, 2]
    %10 = add %9 %8 : float32[batch, 2]
    %11 = tanh %10 : float32[batch, 2]
    return %11, %11
  }
  return %5, %4
}`,
  );
});

Deno.test("equal Programs print equally, different ones differently", () => {
  const print = (from: number) => printProgram(trace((x) => sliceAxis(x, 0, from, 2), spec([4])).program);
  assertEquals(print(1), print(1));
  assert(print(1) !== print(2));
});

Deno.test("a long constant is cut short", () => {
  const { program } = trace((x) => add(x, tensor([0.1, 1, 2, 3, 4, 5, 6, 7, 8, 9])), spec([10]));
  assertEquals(printProgram(program).includes("constant [0.1, 1, 2, 3, 4, 5, 6, 7, …] : float32[10]"), true);
});
