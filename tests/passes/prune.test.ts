/** What nobody reads is neither computed nor kept: seen in the printed Program. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  add,
  at,
  compile,
  einsum,
  grad,
  iota,
  key,
  mean,
  mul,
  printProgram,
  reshape,
  scan,
  spec,
  square,
  sum,
  tanh,
  type Tensor,
  tensor,
  toNested,
  uniform,
  zeros,
} from "../../mod.ts";

const count = (text: string, part: string) => text.split(part).length - 1;

function optimized(fn: (...args: Tensor[]) => unknown, ...specs: unknown[]): string {
  using compiled = compile(fn as (...args: unknown[]) => unknown, { device: "reference" }); // any arguments
  return printProgram(compiled.program(...specs));
}

interface Nested {
  readonly video: Tensor;
  readonly audio: Tensor;
}

/** The nested cell of Keras's guide: its outputs do not depend on its states. */
const nestedCell =
  (w1: Tensor, w2: Tensor, w3: Tensor) =>
  ([s1, s2]: Tensor[], { video, audio }: Nested): [Tensor[], Tensor[]] => {
    const output1 = einsum("bi,iu->bu", audio, w1);
    const output2 = einsum("bij,ij->bij", add(video, einsum("bu,uij->bij", output1, w3)), w2);
    return [[output1, output2], [add(s1, output1), add(s2, output2)]];
  };
const [batch, time, units, i2, i3] = [8, 5, 4, 3, 2];
const weights = [spec([6, units]), spec([i2, i3]), spec([units, i2, i3])];
const nestedInputs = { video: spec([batch, time, i2, i3]), audio: spec([batch, time, 6]) };

const lastOfNested = (w1: Tensor, w2: Tensor, w3: Tensor, inputs: Nested) => {
  const state = [zeros([batch, units]), zeros([batch, i2, i3])];
  const [outputs] = scan(nestedCell(w1, w2, w3), state, inputs);
  return outputs.map((output) => at(output, -1, { axis: 1 }));
};

Deno.test("the guide's nested cell with its last output alone has no scan at all", () => {
  using fn = compile(lastOfNested, { device: "reference" });
  const text = printProgram(fn.program(...weights, nestedInputs));
  assertEquals(count(text, "scan"), 0, text);
  assertEquals(count(text, "matmul"), 2, text);
});

Deno.test("so has its gradient", () => {
  const loss = (w1: Tensor, w2: Tensor, w3: Tensor, inputs: Nested) =>
    lastOfNested(w1, w2, w3, inputs).map((y) => sum(square(y))).reduce((a, b) => add(a, b));
  using fn = compile(grad(loss), { device: "reference" });
  assertEquals(count(printProgram(fn.program(...weights, nestedInputs)), "scan"), 0);
});

Deno.test("what is left of the nested cell computes the same", async () => {
  const random = (shape: readonly number[], seed: number) => uniform(key(seed), shape);
  const args = [
    ...weights.map(({ shape }, i) => random(shape.map(Number), i)),
    { video: random([batch, time, i2, i3], 7), audio: random([batch, time, 6], 8) },
  ] as unknown as Parameters<typeof lastOfNested>; // three weights and the inputs
  using fn = compile(lastOfNested, { device: "reference" });
  const [eager, compiled] = [lastOfNested(...args), await fn(...args)];
  assertEquals(compiled.map(toNested), eager.map(toNested));
});

const rnn = (w: Tensor, x: Tensor) =>
  scan(
    (h: Tensor, v: Tensor) => {
      const next = tanh(add(mul(h, w), v));
      return [next, next];
    },
    zeros([2, 3]),
    x,
  );

Deno.test("a recurrence of which the last output is read stacks nothing", async () => {
  const text = await optimized((w, x) => at(rnn(w, x)[0], -1, { axis: 1 }), spec([3]), spec([2, 7, 3]));
  assertEquals(count(text, "scan"), 1);
  assertEquals(count(text, "float32[2, 7, 3]"), 1, `only the input has all steps:\n${text}`);
});

Deno.test("an output that is read elsewhere too is kept whole", async () => {
  const both = (w: Tensor, x: Tensor) => {
    const [outputs] = rnn(w, x);
    return [at(outputs, -1, { axis: 1 }), sum(outputs)];
  };
  const text = await optimized(both, spec([3]), spec([2, 7, 3]));
  assert(count(text, "float32[2, 7, 3]") >= 2, text);
});

Deno.test("an early output is not mistaken for the last", async () => {
  for (const reverse of [false, true]) {
    const step = (h: Tensor, v: Tensor): [Tensor, Tensor] => [add(h, v), add(h, v)];
    const fn = (x: Tensor) => {
      const [outputs] = scan(step, zeros([1]), x, { reverse });
      return [0, 1, 2].map((index) => at(outputs, index, { axis: 1 }));
    };
    using compiled = compile(fn, { device: "reference" });
    const sums = reverse ? [[7], [6], [4]] : [[1], [3], [7]];
    assertEquals((await compiled(tensor([[1, 2, 4]]))).map(toNested), sums);
    for (const index of [0, 1, 2]) {
      using one = compile((x: Tensor) => at(scan(step, zeros([1]), x, { reverse })[0], index, { axis: 1 }), {
        device: "reference",
      });
      assertEquals(toNested(await one(tensor([[1, 2, 4]]))), sums[index]);
    }
  }
});

Deno.test("states, inputs and closed-over values that do not matter leave the scan", async () => {
  const cell = (unused: Tensor) => ([h, other]: Tensor[], [x, ignored]: Tensor[]): [Tensor[], Tensor[]] => {
    const next = tanh(add(h, x));
    return [[next, mul(ignored, unused)], [next, add(other, ignored)]];
  };
  const fn = (x: Tensor, ignored: Tensor, unused: Tensor) =>
    scan(cell(unused), [zeros([2]), zeros([2])], [x, ignored])[1][0];
  const text = await optimized(fn, spec([2, 5]), spec([2, 5]), spec([]));
  assertStringIncludes(text, "carries: 1");
  assertEquals(count(text, "mul"), 0, text);
  // The two inputs are named once, in the list of what the Program takes.
  for (const name of ["%1", "%2"]) assertEquals(count(text, `${name}:`) + count(text, `${name} `), 1, text);
});

Deno.test("carries that only read each other go together", async () => {
  const cell = (
    [a, b, kept]: Tensor[],
    x: Tensor,
  ): [Tensor, Tensor[]] => [kept, [add(b, x), mul(a, 2), add(kept, x)]];
  const text = await optimized((x) => scan(cell, [zeros([2]), zeros([2]), zeros([2])], x)[0], spec([2, 5]));
  assertStringIncludes(text, "carries: 1");
});

Deno.test("a scan that nobody reads is gone, and a nested one inside a step too", async () => {
  const unread = await optimized(
    (w, x) => {
      rnn(w, x);
      return w;
    },
    spec([3]),
    spec([2, 7, 3]),
  );
  assertEquals(count(unread, "scan"), 0);
  const inner = await optimized((x) =>
    scan(
      (h: Tensor, v: Tensor) => {
        const [states, last] = scan((s: Tensor, u: Tensor) => [s, add(s, u)], h, reshape(v, [2, 3]));
        return [sum(states, { axes: 1 }), add(h, mul(0, last))];
      },
      zeros([2]),
      x,
    )[1], spec([2, 4, 3]));
  assertEquals(count(inner, "scan"), 1, `the nested scan is the sum that its last state is:\n${inner}`);
  assertEquals(count(inner, "sum"), 1, `the sum of the states that nobody reads is gone:\n${inner}`);
});

Deno.test("the gradient of a loss over the last output keeps no stack of outputs", async () => {
  const loss = (w: Tensor, x: Tensor) => mean(square(at(rnn(w, x)[0], -1, { axis: 1 })));
  const text = await optimized(grad(loss), spec([3]), spec([2, 7, 3]));
  assertEquals(count(text, "scan"), 2);
  assertEquals(count(text, "pad"), 0, `the cotangent of the last step is no sequence of zeros:\n${text}`);
});

Deno.test("a scan of scalars prunes as one with a batch", async () => {
  const fn = (x: Tensor) => at(scan((h: Tensor, v: Tensor) => [mul(v, 2), add(h, v)], tensor(0), x)[0], -1);
  assertEquals(count(await optimized(fn, spec([6])), "scan"), 0);
  using compiled = compile(fn, { device: "reference" });
  assertEquals(toNested(await compiled(iota([6], { dtype: "float32" }))), 10);
});
