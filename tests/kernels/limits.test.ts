/** What engines take, at both sides: sizes of fused kernels and functions, bytes beyond 2 GiB, long chains. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { host, hostTensor, mul, pow, sigmoid, sin, type Tensor, trace } from "../../mod.ts";
import { i32, ModuleBuilder } from "../../kernels/wasm/assembler.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { reference } from "../../kernels/reference/mod.ts";
import type { Backend } from "../../kernels/backend.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

async function valuesOn(backend: Backend, fn: (x: Tensor) => Tensor, x: Tensor): Promise<ArrayLike<number>> {
  using compiled = await backend.compile(trace(fn, x).program, { donate: [false], keep: [false] });
  return host((await compiled.run([host(x)]))[0]).data;
}

function chain(times: number, step: (x: Tensor) => Tensor) {
  return (x: Tensor): Tensor => Array.from({ length: times }).reduce<Tensor>((y) => step(y), x);
}

for (const times of [127, 128, 129, 3000]) {
  Deno.test(`compile: a chain of ${times} powers is as many kernels as engines take`, options, async () => {
    const fn = chain(times, (x) => pow(x, 0.999));
    const x = hostTensor(Float32Array.of(0.5, 1, 2, 3, 4, 5), [2, 3]);
    const want = await valuesOn(reference, fn, x);
    const got = await valuesOn(createWasm({ threads: 1 }), fn, x);
    // Each of the powers may be off by an ulp or two.
    Array.from(got).forEach((value, at) => assert(Math.abs(value - want[at]) <= times * 3e-7 * want[at]));
  });
}

Deno.test("compile: all results of a chain that is cut can be read", options, async () => {
  const x = hostTensor(Float32Array.of(0.1, 0.7, -2), [3]);
  // Every value is read again by the last operations, over the borders of kernels.
  const fn = (x: Tensor): Tensor => {
    const all = [x];
    for (let i = 0; i < 150; i++) all.push(sin(all[i]));
    return all.reduce((product, each) => mul(product, sigmoid(each)));
  };
  const want = await valuesOn(reference, fn, x);
  for (const backend of [createWasm({ threads: 1 }), createWebGpu()]) {
    if (!await backend.available()) continue;
    const got = await valuesOn(backend, fn, x);
    Array.from(got).forEach((value, at) => {
      assert(Math.abs(value - want[at]) <= 1e-4 * Math.abs(want[at]) + 1e-30, `${value}, not ${want[at]}`);
    });
  }
});

Deno.test("ModuleBuilder: a function of more than engines take is refused by name", () => {
  const moduleWith = (locals: number, bytes: number): ModuleBuilder => {
    const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
    const f = module.addFunction("large", [i32]);
    for (let local = 0; local < locals; local++) f.local(i32);
    for (let at = 0; at < bytes; at++) f.code.push(0x01);
    return module;
  };
  assert(WebAssembly.validate(moduleWith(49_999, 0).encode()));
  assertThrows(
    () => moduleWith(50_000, 0).encode(),
    RangeError,
    "Cannot compile large for wasm: it has 50001",
  );
  assert(WebAssembly.validate(moduleWith(0, 7_654_321 - 16).encode()));
  assertThrows(() => moduleWith(0, 7_654_321).encode(), RangeError, "bytes of code");
});

Deno.test("count: bytes and addresses beyond 2 GiB are counted as they are", () => {
  for (
    const [from, to] of [[0, 2 ** 31 + 64], [2 ** 31 - 64, 2 ** 31 + 64], [2 ** 31, 2 ** 32 - 64], [64, 64]]
  ) {
    const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
    const f = module.addFunction("rounds", [], [i32]);
    const at = f.local(i32), rounds = f.local(i32);
    const step = to - from > 2 ** 20 ? 2 ** 16 : 16;
    f.i32(from).set(at);
    f.count(at, to - (to - from) % step, step, () => f.get(rounds).i32(1).op("i32.add").set(rounds));
    f.get(rounds);
    module.export(f);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { memory },
    });
    assertEquals((exports.rounds as () => number)(), Math.floor((to - from) / step)); // a function without parameters
  }
});
