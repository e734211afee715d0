/** What goes wrong at the edges of WebGPU: loops that an adapter ends early, few rows, no steps, devices that change. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  add,
  compile,
  type Device,
  gather,
  grad,
  host,
  key,
  matmul,
  mul,
  normal,
  ones,
  scan,
  square,
  sum,
  tanh,
  type Tensor,
  tensor,
  toHost,
} from "../../../mod.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";

const options = { ignore: !await createWebGpu().available(), sanitizeOps: false, sanitizeResources: false };

async function valuesOn<Args extends readonly Tensor[]>(
  device: Device,
  fn: (...args: Args) => Tensor,
  ...args: Args
): Promise<{ readonly values: number[]; readonly report: string }> {
  using compiled = compile(fn, { device });
  const result = host(await toHost(await compiled(...args)));
  return { values: [...result.data], report: compiled.explain() };
}

async function assertAgrees<Args extends readonly Tensor[]>(
  fn: (...args: Args) => Tensor,
  args: Args,
  device: Device = "webgpu",
  tolerance = 1e-5,
): Promise<string> {
  const expected = await valuesOn("reference", fn, ...args);
  const actual = await valuesOn(device, fn, ...args);
  const most = Math.max(1, ...expected.values.map(Math.abs));
  assertEquals(actual.values.length, expected.values.length);
  actual.values.forEach((value, index) =>
    assert(
      Math.abs(value - expected.values[index]) <= tolerance * most,
      `${value}, not ${expected.values[index]}`,
    )
  );
  return actual.report;
}

Deno.test("sums and products of more terms than an adapter has iterations are whole", options, async () => {
  await assertAgrees((x: Tensor) => sum(square(x)), [host(ones([1000, 1000]))]);
  await assertAgrees((x: Tensor) => sum(x, { axes: 0 }), [host(ones([70_000, 3]))]);
  await assertAgrees((a: Tensor, b: Tensor) => matmul(a, b), [
    host(ones([2, 70_000])),
    host(ones([70_000, 3])),
  ]);
});

Deno.test(
  "rows stay rows where long sums and products of a scan are computed in parts",
  options,
  async () => {
    const byRows: Device = { name: "webgpu", schedule: "rows" };
    const devices: readonly Device[] = [byRows, "webgpu", "wasm"];
    const ramp = (shape: readonly number[]) => {
      const size = shape.reduce((a, b) => a * b);
      return host(
        tensor(Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 1000) / 1000), { shape }),
      );
    };
    const sums = (h: Tensor, xs: Tensor) =>
      scan(
        (h: Tensor, x: Tensor) => {
          const next = add(mul(h, 0.5), sum(x, { axes: -1, keepDims: true }));
          return [next, next];
        },
        h,
        xs,
      )[0];
    for (const terms of [60_000, 800_000]) {
      for (const device of devices) {
        const report = await assertAgrees(sums, [ramp([3, 1]), ramp([3, 2, terms])], device);
        if (device === byRows) assertStringIncludes(report, "by rows: as asked for");
      }
    }
    const products = (h: Tensor, times: Tensor, w: Tensor) =>
      scan((h: Tensor, x: Tensor) => [matmul(mul(h, x), w), mul(h, 0.5)], h, times)[0];
    for (const device of devices) {
      await assertAgrees(products, [ramp([3, 140_000]), ramp([3, 2, 1]), ramp([140_000, 2])], device);
    }
  },
);

Deno.test("a scan of more iterations than an adapter has goes on where it left off", options, async () => {
  const step = ([h, count]: readonly [Tensor, Tensor], [x, w]: readonly [Tensor, Tensor]) => {
    const next = tanh(add(matmul(h, w), x));
    return [next, [next, add(count, 1)]] as const;
  };
  const fn = (h: Tensor, xs: Tensor, w: Tensor) => {
    const [outputs, state] = scan(
      (state: readonly [Tensor, Tensor], x: Tensor) => step(state, [x, w]),
      [h, mul(h, 0)] as const,
      xs,
    );
    return add(sum(outputs, { axes: 1 }), state[1]);
  };
  const args = [
    host(normal(key(0), [6, 40])),
    host(normal(key(1), [6, 2000, 40])),
    host(mul(normal(key(2), [40, 40]), 0.1)),
  ] as const;
  const report = await assertAgrees(fn, [...args], { name: "webgpu", schedule: "rows" }, 1e-4);
  assertStringIncludes(report, "by rows");
  assertStringIncludes(report, "stepIndex.x + ");
});

Deno.test("a scan whose rows are looked up by the step's index is right by rows", options, async () => {
  const table = host(normal(key(3), [3, 8, 4]));
  const indices = tensor([0, 2, 1, 1, 0], { dtype: "int32" });
  const fn = (h: Tensor) =>
    scan(
      (h: Tensor, i: Tensor) => {
        const next = tanh(add(h, gather(table, i)));
        return [next, next];
      },
      h,
      indices,
    )[0];
  for (const schedule of ["rows", "steps"] as const) {
    await assertAgrees(fn, [host(normal(key(4), [8, 4]))], { name: "webgpu", schedule });
  }
});

Deno.test("a scan of no steps gives back its state, by rows and by steps", options, async () => {
  const fn = (h: Tensor, xs: Tensor) =>
    scan(
      (h: Tensor, x: Tensor) => {
        const next = tanh(add(h, x));
        return [next, next];
      },
      mul(h, 2),
      xs,
    )[1];
  const none = tensor(new Float32Array(0), { shape: [4, 0, 3] });
  for (const schedule of ["rows", "steps"] as const) {
    for (const precision of ["f32", "f16"] as const) {
      if (precision === "f16" && !(await navigator.gpu.requestAdapter())?.features.has("shader-f16")) {
        continue;
      }
      await assertAgrees(fn, [host(ones([4, 3])), none], { name: "webgpu", schedule, precision });
    }
  }
});

Deno.test("nothing is looked up, and the gradient is zero", options, async () => {
  const none = tensor(new Int32Array(0), { shape: [2, 0], dtype: "int32" });
  await assertAgrees((table: Tensor) => grad((t: Tensor) => sum(gather(t, none)))(table), [
    host(ones([3, 2])),
  ]);
});

Deno.test(
  "arguments may come from the host, then from a device, then from the host again",
  options,
  async () => {
    using make = compile((x: Tensor) => mul(x, 3), { device: "webgpu", keep: true });
    using twice = compile((x: Tensor) => mul(x, 2));
    const onDevice = await make(tensor([1, 2, 3]));
    const values = async (x: Tensor) => [...host(await toHost(await twice(x))).data];
    assertEquals(await values(tensor([1, 2, 3])), [2, 4, 6]);
    assertEquals(twice.device, "wasm");
    assertEquals(await values(onDevice), [6, 12, 18]);
    assertEquals(twice.device, "webgpu");
    assertEquals(await values(tensor([1, 2, 3])), [2, 4, 6]);
  },
);
