import type { Backend } from "../../kernels/backend.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  add,
  at,
  compile,
  grad,
  host,
  hostTensor,
  item,
  mul,
  neg,
  ones,
  printProgram,
  reshape,
  scan,
  spec,
  sub,
  sum,
  type Tensor,
  tensor,
  toHost,
  toNested,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import { type DeviceTensor } from "../../src/internal.ts";

const device = "reference";
const double = (x: Tensor) => mul(x, 2);
const onDevice = (x: Tensor) => x as DeviceTensor; // kept results are

Deno.test("a compiled function gives what the function gives, trees and all", async () => {
  using fn = compile(
    ({ a, b: [b] }: { a: Tensor; b: [Tensor] }) => ({ sum: add(a, b), parts: [a, [b]] }),
    { device },
  );
  const args = { a: tensor([1]), b: [tensor([2])] as [Tensor] };
  assertEquals(
    await fn(args),
    { sum: tensor([3]), parts: [tensor([1]), [tensor([2])]] } as unknown as Awaited<ReturnType<typeof fn>>,
  ); // host tensors
  assertEquals(fn.device, device);
});

Deno.test("it is traced once per structure, shape and dtype of the arguments", async () => {
  let traces = 0;
  using fn = compile((tree: { x: Tensor; y?: Tensor }) => {
    traces++;
    return sum(tree.x);
  }, { device });
  await fn({ x: tensor([1, 2]) });
  await fn({ x: tensor([3, 4]) });
  assertEquals(traces, 1);
  await fn({ x: tensor([1, 2, 3]) });
  await fn({ x: tensor([1, 2], { dtype: "float64" }) });
  await fn({ x: tensor([1, 2]), y: tensor(1) });
  await fn({ y: tensor(2), x: tensor([1, 2]) });
  assertEquals(traces, 4);
});

Deno.test("small forms stay compiled, and large ones are freed when they take too many bytes, the oldest first", async () => {
  let traces = 0;
  const small = compile((x: Tensor) => {
    traces++;
    return add(x, 1);
  }, { device: "reference" });
  for (let turn = 0; turn < 2; turn++) {
    for (let size = 1; size <= 40; size++) await small(ones([size]));
  }
  assertEquals(traces, 40);
  assertMatch(
    small.explain(),
    /^40 forms kept, about \d+ of at most 67108864 bytes; those used least recently/,
  );

  const weights = hostTensor(new Float32Array(6 << 20).fill(1), [6 << 20]); // 24 MiB: two have room, three not
  const sizes: number[] = [];
  const large = compile((x: Tensor) => {
    sizes.push(x.shape[0] as number);
    return add(x, sum(mul(weights, at(x, 0))));
  }, { device: "reference" });
  for (const size of [1, 2, 1, 3, 1, 2]) await large(ones([size]));
  assertEquals(sizes, [1, 2, 3, 2], "3 freed 2, as 1 was used after it");
  assertMatch(large.explain(), /^2 forms kept, about 5\d{7} of at most 67108864 bytes/);
});

Deno.test("with symbolic specs one trace serves all sizes", async () => {
  let traces = 0;
  const last = (x: Tensor) => {
    traces++;
    return scan((h: Tensor, v: Tensor) => [h, add(h, v)], zeros([x.shape[0], 2]), x)[1];
  };
  using fn = compile(last, { device, specs: [spec([null, null, 2])] });
  for (const [batch, time] of [[1, 1], [3, 2], [2, 0], [1, 1]]) {
    const ones = tensor(new Array(batch * time * 2).fill(1), { shape: [batch, time, 2] });
    assertEquals(toNested(await fn(ones)), Array.from({ length: batch }, () => [time, time]));
  }
  assertEquals(traces, 1);
  await assertRejects(() => fn(zeros([1, 1, 3])), RangeError, "expected [batch, time, 2]");
  await assertRejects(() => fn(zeros([1, 2], { dtype: "float64" })), TypeError, "float64");
});

Deno.test("arguments unlike the specs are refused with the path", async () => {
  using fn = compile(({ a, b }: { a: Tensor; b: Tensor }) => add(a, mul(b, 2)), {
    device,
    specs: [{ a: spec([1]), b: spec([1]) }],
  });
  const list = [tensor([1]), tensor([2])] as unknown as { a: Tensor; b: Tensor }; // as from JavaScript
  await assertRejects(() => fn(list), TypeError, "options.specs has an object with the keys {a, b}");
});

Deno.test("sync answers at once for shapes that were compiled, and says so for others", async () => {
  using fn = compile(double, { device });
  assertThrows(
    () => fn.sync(tensor(1)),
    Error,
    "call the compiled function once with await for these shapes first",
  );
  await fn(tensor(1));
  assertEquals(fn.sync(tensor(4)), tensor(8));
  assertThrows(() => fn.sync(tensor([4])), Error, "for these shapes first");
});

Deno.test("kept results stay on the device, all of them or by index", async () => {
  const both = (x: Tensor): [Tensor, { y: Tensor }] => [neg(x), { y: double(x) }];
  for (
    const [keep, kinds] of [[true, "device device"], [[1], "host device"], [[0], "device host"], [
      false,
      "host host",
    ]] as const
  ) {
    using fn = compile(both, { device, keep });
    const [a, { y }] = await fn(tensor([1, 2]));
    assertEquals(`${a.kind} ${y.kind}`, kinds);
    assertEquals((await toHost([a, y])).map(toNested), [[-1, -2], [2, 4]]);
  }
});

Deno.test("indices of donate and keep that are not there are refused", async () => {
  using far = compile((x: Tensor) => [x], { device, keep: [1] });
  await assertRejects(() => far(tensor(1)), RangeError, "Cannot keep results by index 1: there are 1");
  using donated = compile(double, { device, donate: [-1] });
  await assertRejects(
    () => donated(tensor(1)),
    RangeError,
    "Cannot donate arguments by index -1: there are 1",
  );
  using single = compile(double, { device, keep: [0] });
  await assertRejects(() => single(tensor(1)), TypeError, "the function does not return an array");
});

Deno.test("a donated tensor is gone, what is made of it is right, and others stay", async () => {
  using make = compile(double, { device, keep: true });
  using step = compile(
    (state: Tensor, x: Tensor): Tensor[] => [add(state, x), state, state, x, reshape(state, [2, 1])],
    {
      device,
      donate: [0],
      keep: true,
    },
  );
  const [state, x] = [await make(tensor([1, 2])), await make(tensor([5, 5]))];
  const results = await step(state, x);
  assert(onDevice(state).disposed && !onDevice(x).disposed);
  await assertRejects(() => step(state, x), Error, "it was donated to an earlier call");
  await assertRejects(() => toHost([state]), Error, "donated");
  onDevice(results[1])[Symbol.dispose]();
  await step(results[2], x);
  assertEquals((await toHost([results[0], results[3], results[4], x])).map(toNested), [[12, 14], [10, 10], [[
    2,
  ], [4]], [10, 10]]);
});

Deno.test("a host tensor is never overwritten, donated or not", async () => {
  using fn = compile((x: Tensor): Tensor[] => [double(x), x], { device, donate: [0] });
  const x = tensor([1, 2]);
  const [, same] = await fn(x);
  if (same.kind === "host") same.data[0] = 99;
  assertEquals([toNested(x), toNested((await fn(x))[0])], [[1, 2], [2, 4]]);
});

Deno.test("results outlive later calls", async () => {
  using fn = compile(double, { device, keep: true });
  const first = await fn(tensor([1]));
  await fn(tensor([7]));
  assertEquals((await toHost([first])).map(toNested), [[2]]);
});

Deno.test("constants are compiled in, and duplicated results do not share memory", async () => {
  const closed = tensor([1, 2]);
  using fn = compile((x: Tensor): Tensor[] => [closed, closed, x, x, add(x, closed)], { device });
  const results = await fn(tensor([3, 4]));
  assertEquals(results.map(toNested), [[1, 2], [1, 2], [3, 4], [3, 4], [4, 6]]);
  assertEquals(new Set([closed, ...results].map((x) => x.kind === "host" && x.data.buffer)).size, 6);
});

Deno.test("a gradient through scans compiles", async () => {
  const loss = (w: Tensor, x: Tensor) => {
    const outer = (h: Tensor, row: Tensor): [Tensor, Tensor] => {
      const [, next] = scan((s: Tensor, v: Tensor) => [v, add(mul(s, w), v)], h, row);
      return [next, next];
    };
    return sum(scan(outer, zeros([1]), x)[0]);
  };
  const [w, x] = [tensor(0.5), tensor([[[1, 2], [3, 4]]])];
  using fn = compile(valueAndGrad(loss), { device });
  assertEquals((await fn(w, x)).map(toNested), valueAndGrad(loss)(w, x).map(toNested));
});

Deno.test("the optimized Program can be seen without running", () => {
  using fn = compile((x: Tensor, _: Tensor) => sub(mul(x, 1), 0), { device });
  const text = printProgram(fn.program(spec([null, 3]), spec([2])));
  assertEquals(text, "(%0: float32[batch, 3], %1: float32[2]) => {\n  return %0\n}");
});

Deno.test("what cannot be compiled is refused", async () => {
  assertThrows(
    // @ts-expect-error -- a typo does not compile
    () => compile(double, { device: "abacus" }),
    RangeError,
    'Cannot use the device "abacus"',
  );
  using late = compile(async (x: Tensor) => await x, { device });
  await assertRejects(() => late(tensor(1)), TypeError, "Cannot trace an async function");
  using fn = compile(double, { device });
  await assertRejects(() => fn(spec([1]) as unknown as Tensor), TypeError, "it has no values"); // as from JavaScript
  await assertRejects(() => fn(3 as unknown as Tensor), TypeError, "number 3 at arguments[0]"); // as from JavaScript
});

Deno.test("a compiled function cannot be called while another is traced", () => {
  using fn = compile((x: Tensor) => sum(x), { device });
  assertThrows(
    () => grad((x: Tensor) => fn(x) as unknown as Tensor)(tensor([1])), // as from JavaScript
    TypeError,
    "while another function is traced: call the function it was made from",
  );
});

Deno.test("a disposed function is refused, not compiled again", async () => {
  const fn = compile(double, { device });
  await fn(tensor(1));
  fn[Symbol.dispose]();
  await assertRejects(() => fn(tensor(1)), Error, "it was disposed");
  assertThrows(() => fn.sync(tensor(1)), Error, "it was disposed");
});

Deno.test("many calls at once each get their own answer", async () => {
  using fn = compile((x: Tensor) => at(double(x), 0), { device });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => fn(tensor(new Array(1 + i % 3).fill(i)))),
  );
  assertEquals(answers.map(item), Array.from({ length: 20 }, (_, i) => 2 * i));
});

Deno.test("a backend of one's own is a device: its object, not a name", async () => {
  const programs: string[] = [];
  const counting: Backend = {
    ...reference,
    name: "counting",
    compile(program, options) {
      programs.push(printProgram(program));
      return reference.compile(program, options);
    },
  };
  using fn = compile((x: Tensor) => mul(x, 2), { device: counting });
  assertEquals(host(await fn(tensor([1, 2]))).data, Float32Array.of(2, 4));
  assertEquals([fn.device, programs.length], ["counting", 1]);
  const absent: Backend = { ...counting, missing: () => Promise.resolve("it is switched off") };
  using refused = compile((x: Tensor) => x, { device: absent });
  await assertRejects(
    () => refused(tensor(1)),
    RangeError,
    "Cannot use the device counting: it is switched off",
  );
});
