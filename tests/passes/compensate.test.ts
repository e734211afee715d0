/** Sums over many steps of a scan keep what rounding loses, on every backend. */
import {
  add,
  type Cell,
  compile,
  type Device,
  exp,
  full,
  grad,
  type HostTensor,
  mul,
  scan,
  sum,
  tanh,
  type Tensor,
  tensor,
  zeros,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { webgpu } from "../../kernels/webgpu/mod.ts";

const devices: readonly { readonly name: string; readonly device: Device; readonly ignore?: boolean }[] = [
  { name: "wasm", device: { name: "wasm", threads: 1 } },
  { name: "wasm with two threads", device: { name: "wasm", threads: 2, shareFrom: 0 } },
  { name: "webgpu", device: "webgpu", ignore: !await webgpu.available() },
];

/** A state that comes to rest at once, plus a bias: its derivative is the same at every step but the last few. */
const cell = (bias: Tensor): Cell<Tensor, Tensor, Tensor> => (h, x) => {
  const next = add(mul(h, 0.25), add(x, bias));
  return [next, next];
};

async function once<Result>(run: (x: Tensor) => Result, x: Tensor, device: Device): Promise<Result> {
  const compiled = compile(run, { device });
  try {
    return await compiled(x);
  } finally {
    compiled[Symbol.dispose]();
  }
}

const relative = (actual: number, exact: number) => Math.abs(actual / exact - 1);

for (const { name, device, ignore } of devices) {
  Deno.test({
    name: `on ${name}, the gradient of a bias over many steps is as exact as over few`,
    ignore,
    sanitizeResources: false, // workers and a device outlive a test
    sanitizeOps: false,
    fn: async () => {
      for (const steps of [100, 129, 3000, 20_000]) {
        const loss = (bias: Tensor) =>
          sum(mul(scan(cell(bias), zeros([3, 2]), full([3, steps, 2], 0.1))[0], 0.3));
        const gradient = await once(grad(loss), zeros([2]), device) as HostTensor;
        // Each step counts 0.3 (1 + 1/4 + … as far as there are steps after it).
        let exact = 0;
        for (let after = 0; after < steps; after++) {
          exact += 3 * Math.fround(0.3) * (1 - 0.25 ** (after + 1)) / 0.75;
        }
        assert(
          relative(gradient.data[0], exact) < 1e-6,
          `${steps} steps: ${gradient.data[0]}, expected ${exact}`,
        );
      }
    },
  });

  Deno.test({
    name: `on ${name}, a sum that only its end is read of is exact, an infinite one stays infinite`,
    ignore,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const steps = 5000;
      const total: Cell<readonly Tensor[], Tensor, Tensor> = ([all, count, state], x) => {
        const next = tanh(add(state, x));
        return [next, [add(all, exp(mul(x, 100))), add(count, tensor(3, { dtype: "int32" })), next]];
      };
      const run = (x: Tensor) => {
        const first = [zeros([2]), tensor(0, { dtype: "int32" }), zeros([2])];
        const [, [all, count]] = scan(total, first, x);
        return [all, count];
      };
      const [all, count] = await once(run, full([2, steps], 0.001), device) as HostTensor[];
      const term = Math.fround(Math.exp(Math.fround(0.001) * 100));
      assert(relative(all.data[0], steps * term) < 1e-6, `${all.data[0]}, expected ${steps * term}`);
      assertEquals(count.data[0], 3 * steps);
      const [infinite] = await once(run, full([2, steps], 1), device) as HostTensor[];
      assertEquals([...infinite.data], [Infinity, Infinity]);
      const [overflown] = await once(run, full([2, steps], 3e38), device) as HostTensor[]; // of finite terms
      assertEquals([...overflown.data], [Infinity, Infinity]);
      const [unknown] = await once(run, full([2, steps], NaN), device) as HostTensor[];
      assertEquals([...unknown.data], [NaN, NaN]);
    },
  });
}

Deno.test("a running total, which every step reads, is the user's own arithmetic", async () => {
  const running: Cell<Tensor, Tensor, Tensor> = (all, x) => {
    const next = add(all, x);
    return [next, next];
  };
  const compiled = compile((x: Tensor) => scan(running, zeros([1]), x)[0], { device: "wasm" });
  const outputs = await compiled(full([1, 1000], 0.1)) as HostTensor;
  let expected = 0;
  for (let step = 0; step < 1000; step++) expected = Math.fround(expected + Math.fround(0.1));
  assertEquals(outputs.data[999], expected);
  compiled[Symbol.dispose]();
});
