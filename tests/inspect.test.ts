/** What `console.log` shows of the library's data, in Deno and in Node, and that it costs the data nothing. */
import { inspect } from "node:util";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  adam,
  add,
  bidirectional,
  compile,
  dense,
  gru,
  init,
  key,
  lstm,
  lstmCell,
  predict,
  rnn,
  sequential,
  spec,
  streaming,
  symbol,
  type Tensor,
  tensor,
  zeros,
} from "@cellfold/cellfold";

/** Deno's inspection and Node's, which agree here. */
function shown(value: unknown): string {
  const text = Deno.inspect(value);
  assertEquals(inspect(value), text);
  return text;
}

Deno.test("console.log of a tensor shows dtype, shape and values", () => {
  assertEquals(shown(tensor([[1, 2, 3], [4, 5, 6]])), "float32[2, 3] [[1, 2, 3], [4, 5, 6]]");
  assertEquals(shown(tensor(0.1)), "float32[] 0.1");
  assertEquals(shown(tensor([true, false])), "bool[2] [true, false]");
  assertEquals(shown(tensor(new Int32Array([-7, 1e9]))), "int32[2] [-7, 1000000000]");
  assertEquals(shown(tensor([NaN, Infinity, -0, 1e-9])), "float32[4] [NaN, Infinity, -0, 1e-9]");
  assertEquals(shown([zeros([0, 3]), zeros([2, 0])]), "[ float32[0, 3] [], float32[2, 0] [[], []] ]");
});

Deno.test("console.log of what a stream gives and keeps is as short", async () => {
  const layer = lstm({ units: 2, returnSequences: true });
  for (const device of ["wasm", "reference"] as const) {
    using stream = streaming(layer, init(layer, key(0), spec([1, null, 3])), { device });
    assertMatch(shown(await stream.push(zeros([1, 2, 3]))), /^float32\[1, 2, 2\] \[\[\[.*\]\]\]$/);
    assertMatch(shown(await stream.step(zeros([1, 3]))), /^float32\[1, 2\] \[\[.*\]\]$/);
    assertMatch(
      Deno.inspect(stream.state),
      /carry: \[ float32\[1, 2\] \[\[.*\]\], float32\[1, 2\] \[\[.*\]\] \]/,
    );
  }
  const wide = gru({ units: 20, returnSequences: true });
  using stream = streaming(wide, init(wide, key(0), spec([1, null, 3])), { device: "wasm" });
  assertMatch(shown(await stream.step(zeros([1, 3]))), /^float32\[1, 20\]\s/);
});

Deno.test("console.log of a large tensor shows the first and last entries of its axes", () => {
  const matrix = tensor(Float32Array.from({ length: 2000 }, (_, index) => index), { shape: [20, 100] });
  assertEquals(
    shown(matrix),
    `float32[20, 100]
[[   0,    1,    2,    3,    …,   96,   97,   98,   99],
 [ 100,  101,  102,  103,    …,  196,  197,  198,  199],
 [ 200,  201,  202,  203,    …,  296,  297,  298,  299],
 …,
 [1700, 1701, 1702, 1703,    …, 1796, 1797, 1798, 1799],
 [1800, 1801, 1802, 1803,    …, 1896, 1897, 1898, 1899],
 [1900, 1901, 1902, 1903,    …, 1996, 1997, 1998, 1999]]`,
  );
  assert(shown(zeros([9, 9, 9, 9])).length < 1000);
});

Deno.test("console.log of variables has a line for each tensor, however deep", () => {
  const model = sequential([lstm({ units: 4 }), sequential([dense({ units: 2 })])]);
  const variables = init(model, key(0), spec([null, null, 3]));
  assertStringIncludes(inspect(variables), "bias: float32[16] [0, …, 0]");
  const text = Deno.inspect(variables); // Node opens fewer levels
  assertStringIncludes(text, "recurrentKernel: float32[4, 16] [[");
  assertStringIncludes(text, "bias: float32[2] [0, 0]");
  assert(text.split("\n").length < 20 && Math.max(...text.split("\n").map(({ length }) => length)) <= 110);
});

Deno.test("console.log of sizes and specs names the open ones", () => {
  assertEquals(shown(symbol("batch")), "batch");
  assertStringIncludes(Deno.inspect(spec([null, null, 28])), "{ shape: [ batch, time, 28 ], dtype: ");
});

Deno.test("console.log of a layer, a cell or an optimizer is the call that made it", () => {
  assertEquals(shown(lstm({ units: 64 })), 'lstm({ units: 64, activation: "tanh" })');
  assertEquals(
    shown({ ...lstm({ units: 2 }), trainable: false, name: "encoder" }),
    'lstm({ units: 2, activation: "tanh", name: "encoder", trainable: false })',
  );
  assertEquals(
    shown(rnn(lstmCell({ units: 4 }))),
    'rnn({ cell: lstmCell({ units: 4, activation: "tanh" }) })',
  );
  assertEquals(
    shown(dense({ units: 3, activation: (x) => x })),
    "dense({ units: 3, activation: a function })",
  );
  assertStringIncludes(shown(bidirectional(lstm({ units: 3 }))), "bidirectional({ layer: lstm({ units: 3");
  assertStringIncludes(shown(adam({ learningRate: 0.5 })), "adam({ learningRate: 0.5");
});

Deno.test("console.log of a model has a line for each layer", () => {
  const model = sequential([lstm({ units: 64 }), sequential([dense({ units: 10 })], { name: "head" })]);
  assertEquals(
    shown(model),
    `sequential
  lstm  lstm({ units: 64, activation: "tanh" })
  head  sequential head
    dense  dense({ units: 10, activation: "linear" })`,
  );
});

Deno.test("console.log of a device tensor says where it is, and whether it still is", async () => {
  for (const device of ["reference", "wasm"] as const) {
    using twice = compile((x: Tensor) => add(x, x), { device, keep: true });
    const kept = await twice(tensor([1, 2]));
    assertEquals(shown(kept), `float32[2] on ${device}`);
    if (kept.kind === "device") kept[Symbol.dispose]();
    assertEquals(shown(kept), `float32[2] on ${device}, disposed`);
  }
});

Deno.test("a tensor stays plain data: its hook is not compared, copied, cloned or listed", async () => {
  const made = tensor([1, 2]);
  const plain = { kind: "host", shape: [2], dtype: "float32", data: new Float32Array([1, 2]) } as const;
  assertEquals<unknown>(made, plain);
  assertEquals<unknown>(structuredClone(made), plain);
  assertEquals<unknown>({ ...made }, plain);
  assertEquals(Object.getPrototypeOf(made), Object.prototype);
  assertEquals(Reflect.ownKeys({ ...made }), ["kind", "shape", "dtype", "data"]);
  const model = dense({ units: 1 });
  for (const device of ["reference", "wasm"] as const) {
    const output = await predict(model, init(model, key(0), spec([null, 1])), zeros([1, 1]), { device });
    assertEquals(shown(output), "float32[1, 1] [[0]]");
  }
});
