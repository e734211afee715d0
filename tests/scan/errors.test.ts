/** What a scan refuses before anything runs, and what the error says. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  add,
  cast,
  type Cell,
  concat,
  mul,
  reshape,
  scan,
  spec,
  type Tensor,
  tensor,
  trace,
  zeros,
} from "../../mod.ts";

const inputs = zeros([2, 3, 4]);
const state = zeros([2, 4]);

/** A cell whose type is not checked, as in JavaScript. */
function loose(cell: (state: Tensor, input: Tensor) => unknown): Cell<unknown, unknown, unknown> {
  return cell as unknown as Cell<unknown, unknown, unknown>; // on purpose: what TypeScript would refuse
}

Deno.test("a state that changes its dtype is refused with the path, both types and the remedy", () => {
  const error = assertThrows(
    () =>
      scan(({ h, steps }, x: Tensor) => [x, { h, steps: cast(steps, "int32") }], {
        h: state,
        steps: zeros([2]),
      }, inputs),
    TypeError,
    "the cell changes state.steps from float32[2] to int32[2]",
  );
  assertStringIncludes(error.message, 'return cast(…, "float32"), or begin with int32');
});

Deno.test("a state that changes its shape is refused with the path, both types and the remedy", () => {
  const error = assertThrows(
    () => scan(([h, c], x: Tensor) => [x, [h, concat([c, x])]], [state, state], inputs),
    TypeError,
    "the cell changes state[1] from float32[2, 4] to float32[2, 8]",
  );
  assertStringIncludes(error.message, "begin with zeros([2,8])");
});

Deno.test("a state that grows by broadcasting is refused, not broadcast", () => {
  assertThrows(
    () => scan((h: Tensor, x: Tensor) => [h, add(h, x)], zeros([1, 4]), inputs),
    TypeError,
    "from float32[1, 4] to float32[2, 4]",
  );
});

Deno.test("a state that changes its structure is refused with the path and both structures", () => {
  const error = assertThrows(
    () => scan(loose((s) => [s, { h: s, c: s }]), { h: state }, inputs),
    TypeError,
    "the initial state has an object with the keys {h}",
  );
  assertStringIncludes(error.message, "the state that the cell returns has an object with the keys {c, h}");
  assertThrows(
    () => scan(loose((_, x) => [x, [state, [state, state]]]), [state, [state]], inputs),
    TypeError,
    "at state[1]: the initial state has an array of 1, the state that the cell returns has an array of 2; return",
  );
  assertThrows(
    () => scan(loose((s) => [s, { h: s }]), state, inputs),
    TypeError,
    "the initial state has a tensor float32[2, 4], the state that the cell returns has an object",
  );
});

Deno.test("a state that changes is refused under a mask and with checkpoints too", () => {
  const grows = (h: Tensor, x: Tensor): [Tensor, Tensor] => [x, concat([h, x])];
  const message = "the cell changes state from float32[2, 4] to float32[2, 8]";
  assertThrows(
    () => scan(grows, state, inputs, { lengths: tensor([1, 2], { dtype: "int32" }) }),
    TypeError,
    message,
  );
  assertThrows(() => scan(grows, state, inputs, { checkpointEvery: 2 }), TypeError, message);
});

Deno.test("a state that changes is refused while tracing with symbolic sizes", () => {
  assertThrows(
    () =>
      trace(
        (x: Tensor) => scan((h: Tensor, v: Tensor) => [h, concat([h, v])], zeros([x.shape[0], 4]), x),
        spec([null, null, 4]),
      ),
    TypeError,
    "from float32[batch, 4] to float32[batch, 8]",
  );
});

Deno.test("a cell that does not return a pair is refused", () => {
  for (
    const result of [
      state,
      [state],
      [state, state, state],
      undefined,
      { output: state, state },
      Promise.resolve([state, state]),
    ]
  ) {
    assertThrows(
      () => scan(loose(() => result), state, inputs),
      TypeError,
      "must return an array [output, state]",
    );
  }
});

Deno.test("an output that is no tree is refused with its path", () => {
  assertThrows(
    () => scan(loose((s) => [{ a: [s, 3] }, s]), state, inputs),
    TypeError,
    "number 3 at output.a[1]",
  );
  assertThrows(
    () => scan(loose((s) => [undefined, s]), state, inputs),
    TypeError,
    "Cannot use undefined at output",
  );
});

Deno.test("sequences of different lengths are refused with the path and both lengths", () => {
  assertThrows(
    () => scan((s: Tensor, { b }) => [b, s], state, { a: inputs, b: zeros([2, 5]) }),
    RangeError,
    "Cannot scan inputs.b (float32[2, 5]): it has 5 steps, expected 3",
  );
  assertThrows(
    () => scan((s: Tensor, x: Tensor) => [x, s], state, inputs, { length: 2 }),
    RangeError,
    "Cannot scan inputs (float32[2, 3, 4]): it has 3 steps, expected 2",
  );
});

Deno.test("an input without a time axis is refused", () => {
  assertThrows(
    () => scan((s: Tensor, x: Tensor) => [x, s], state, tensor(1)),
    TypeError,
    "a sequence needs a time axis",
  );
});

Deno.test("without inputs there must be a length, a whole number from 0", () => {
  const cell: Cell<Tensor, unknown, Tensor> = (s) => [s, mul(s, 2)];
  assertThrows(() => scan(cell, state, {}), TypeError, "options.length must say how long");
  assertThrows(() => scan(cell, state, [], { length: -1 }), RangeError, "options.length is -1");
  assertThrows(() => scan(cell, state, [], { length: 1.5 }), RangeError, "options.length is 1.5");
  assertEquals(scan(cell, state, [], { length: 3 })[0].shape, [2, 3, 4]);
});

Deno.test("a mask must be bool [batch, time]", () => {
  const cell: Cell<Tensor, Tensor, Tensor> = (s, x) => [x, add(s, x)];
  for (
    const mask of [
      zeros([2, 3]),
      zeros([3, 2], { dtype: "bool" }),
      zeros([2], { dtype: "bool" }),
      zeros([1, 3], { dtype: "bool" }),
    ]
  ) {
    assertThrows(() => scan(cell, state, inputs, { mask }), TypeError, "expected bool[2, 3]");
  }
});

Deno.test("lengths must be int32 [batch]", () => {
  const cell: Cell<Tensor, Tensor, Tensor> = (s, x) => [x, add(s, x)];
  for (const lengths of [zeros([2]), zeros([3], { dtype: "int32" }), zeros([2, 1], { dtype: "int32" })]) {
    assertThrows(() => scan(cell, state, inputs, { lengths }), TypeError, "expected int32[2]");
  }
});

Deno.test("a mask needs a state and outputs with the batch in front", () => {
  const mask = zeros([2, 3], { dtype: "bool" });
  assertThrows(
    () => scan((n: Tensor, x: Tensor) => [x, add(n, 1)], tensor(0), inputs, { mask }),
    TypeError,
    "its first axis is not the batch of 2",
  );
  assertThrows(
    () => scan((s: Tensor, x: Tensor) => [reshape(x, [8]), s], state, inputs, { mask }),
    TypeError,
    "Cannot mask float32[8]",
  );
});

Deno.test("checkpointEvery must be a whole number from 1, and the length known", () => {
  const cell: Cell<Tensor, Tensor, Tensor> = (s, x) => [x, add(s, x)];
  for (const checkpointEvery of [0, -1, 1.5, NaN]) {
    assertThrows(
      () => scan(cell, state, inputs, { checkpointEvery }),
      RangeError,
      `checkpointEvery is ${checkpointEvery}, expected a whole number from 1`,
    );
  }
  assertThrows(
    () => trace((x: Tensor) => scan(cell, zeros([2, 4]), x, { checkpointEvery: 2 }), spec([2, null, 4])),
    RangeError,
    "checkpointEvery needs a fixed size: current value is time",
  );
});
