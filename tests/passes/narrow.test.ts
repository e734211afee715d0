import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  add,
  at,
  compile,
  concat,
  convolve,
  grad,
  host,
  key,
  matmul,
  mean,
  mul,
  normal,
  printProgram,
  reshape,
  scan,
  slice,
  spec,
  square,
  tanh,
  type Tensor,
  trace,
  zeros,
} from "../../mod.ts";
import { runPasses } from "../../src/passes/mod.ts";

function text(fn: (...args: never[]) => unknown, ...specs: readonly unknown[]): string {
  return printProgram(runPasses(trace(fn, ...specs).program));
}

Deno.test("a slice of a concatenation is taken from the part that it lies in", () => {
  const printed = text(
    ((a: Tensor, b: Tensor) =>
      slice(concat([mul(a, 2), mul(b, 3)], { axis: 1 }), { start: [0, 5], size: [2, 2] })) as never,
    spec([2, 4]),
    spec([2, 6]),
  );
  assertEquals(printed.includes("concat"), false, printed);
  assertEquals(printed.includes("constant 2"), false, `the part that nobody reads is computed:\n${printed}`);
});

Deno.test("a slice across the parts of a concatenation is left", () => {
  const printed = text(
    ((a: Tensor, b: Tensor) =>
      slice(concat([mul(a, 2), mul(b, 3)], { axis: 1 }), { start: [0, 3], size: [2, 2] })) as never,
    spec([2, 4]),
    spec([2, 6]),
  );
  assertEquals(printed.includes("concat"), true, printed);
});

Deno.test("a convolution of which a slice is read computes the places in it, and as many", async () => {
  const fn = (x: Tensor, kernel: Tensor) =>
    slice(convolve(x, kernel, { strides: [2, 1], dilation: [1, 2] }), {
      start: [0, 1, 2, 0],
      size: [2, 3, 4, 5],
    });
  const [x, kernel] = [normal(key(1), [2, 13, 12, 3]), normal(key(2), [3, 2, 3, 5])];
  const printed = text(fn as never, spec([2, 13, 12, 3]), spec([3, 2, 3, 5]));
  assertEquals(printed.includes("start: [0, 2, 2, 0], size: [2, 7, 6, 3]"), true, printed);
  assertEquals(printed.includes("[2, 6, 10, 5]"), false, printed);
  using compiled = compile(fn, { device: "wasm" });
  const found = host(await compiled(x, kernel)).data;
  host(fn(x, kernel)).data.forEach((value, i) => assertAlmostEquals(Number(found[i]), Number(value), 1e-5));
});

Deno.test("a convolution of which more is read, or only some channels, is left", () => {
  const whole = text(
    ((x: Tensor, kernel: Tensor) => {
      const y = convolve(x, kernel);
      return [slice(y, { start: [0, 1, 0], size: [2, 3, 5] }), y];
    }) as never,
    spec([2, 8, 3]),
    spec([3, 3, 5]),
  );
  assertEquals(whole.match(/convolve/g)?.length, 1, whole);
  const channels = text(
    ((x: Tensor, kernel: Tensor) =>
      slice(convolve(x, kernel), { start: [0, 0, 1], size: [2, 6, 2] })) as never,
    spec([2, 8, 3]),
    spec([3, 3, 5]),
  );
  assertEquals(channels.includes("[2, 6, 5]"), true, channels);
});

Deno.test("one step of merged axes is taken from the one and then the other", () => {
  const printed = text(
    ((x: Tensor) => slice(reshape(tanh(x), [2, 12, 5]), { start: [0, 7, 0], size: [2, 1, 5] })) as never,
    spec([2, 3, 4, 5]),
  );
  assertEquals(printed.includes("start: [0, 1, 0, 0], size: [2, 1, 4, 5]"), true, printed);
});

Deno.test("a checkpointed scan of which the last output is read keeps no outputs of all steps", () => {
  for (const time of [20, 22]) { // with and without a remainder
    const loss = (w: Tensor, x: Tensor) => {
      const [outputs] = scan(
        (h: Tensor, step: Tensor) => {
          const next = tanh(add(matmul(h, w), step));
          return [next, next];
        },
        zeros([2, 3]),
        x,
        { checkpointEvery: 5 },
      );
      return mean(square(at(outputs, -1, { axis: 1 })));
    };
    const printed = text(grad(loss) as never, spec([3, 3]), spec([2, time, 3]));
    assertEquals(new RegExp(`float32\\[2, (${time}|4, 5), 3\\] = `).test(printed), false, printed);
    assertEquals(printed.includes(`pad`) && printed.includes(`: float32[2, ${time}, 3]\n`), false, printed);
  }
});
