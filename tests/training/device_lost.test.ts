/** What `fit` throws when its device fails: the weights and the optimizer's state go on as if there had been no break. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  compile,
  dense,
  type Device,
  DeviceLost,
  DeviceLostError,
  fit,
  type FitResult,
  gru,
  host,
  init,
  key,
  mul,
  normal,
  ones,
  predict,
  sequential,
  streaming,
  sum,
  type Tensor,
  tensor,
  treeLeaves,
  type Variables,
} from "../../mod.ts";
import { DeviceMemory } from "../../kernels/wasm/memory.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";

const model = sequential([gru({ units: 6 }), dense({ units: 2 })]);
const data = { x: host(normal(key(1), [24, 5, 3])), y: host(normal(key(2), [24, 2])) };
const options = { loss: "mse", optimizer: "adam", batchSize: 4, shuffle: false, report: "none" } as const;
const variables = init(model, key(0), data.x);
/** Workers and devices outlive a test. */
const outlives = { sanitizeOps: false, sanitizeResources: false };

const numbers = (tree: Variables) => treeLeaves<Tensor>(tree.params).flatMap((leaf) => [...host(leaf).data]);

/** Kernels trap on the calling thread while `next` is set. */
async function withTraps(run: (traps: { next: boolean }) => Promise<void>): Promise<void> {
  const traps = { next: false };
  const { instantiate } = WebAssembly;
  const trapping = async (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
    const instance = await instantiate(module, imports);
    const trapped = (name: string) => {
      const run = instance.exports[name] as (...args: number[]) => unknown; // all exports are functions
      return (...args: number[]) => {
        if (traps.next) throw new WebAssembly.RuntimeError("unreachable");
        return run(...args);
      };
    };
    return {
      exports: Object.fromEntries(Object.keys(instance.exports).map((name) => [name, trapped(name)])),
    };
  };
  Reflect.set(WebAssembly, "instantiate", trapping);
  try {
    await run(traps);
  } finally {
    Reflect.set(WebAssembly, "instantiate", instantiate);
  }
}

/** What nobody has caught while `run` ran, and for a moment after. */
async function unhandledIn(run: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  addEventListener("unhandledrejection", listener);
  try {
    await run();
    await new Promise((resolve) => setTimeout(resolve, 50));
  } finally {
    removeEventListener("unhandledrejection", listener);
  }
  return unhandled;
}

for (const threads of [1, 2]) {
  Deno.test(`fit: a kernel that fails on ${threads} threads takes no step along`, outlives, async () => {
    const device: Device = { name: "wasm", threads, shareFrom: 0 };
    const unhandled = await unhandledIn(() =>
      withTraps(async (traps) => {
        // It fails in the third epoch; the epochs of an unbroken run are six steps each.
        const lost = await assertRejects(
          () =>
            fit(model, variables, data, {
              ...options,
              device,
              epochs: 5,
              callbacks: [{ onBatchEnd: ({ epoch, step }) => void (traps.next = epoch === 2 && step === 4) }],
            }),
          DeviceLostError,
          "The weights after 4 steps of epoch 3 are in error.variables",
        );
        traps.next = false;
        assert(lost.cause instanceof DeviceLost);
        assertEquals([lost.epoch, lost.step, lost.history.loss.length], [2, 4, 2]);
        const short = { x: data.x, y: data.y };
        const whole = await fit(model, variables, short, { ...options, device, epochs: 2 });
        const first16 = {
          x: tensor(host(data.x).data.slice(0, 16 * 15), { shape: [16, 5, 3] }),
          y: tensor(host(data.y).data.slice(0, 16 * 2), { shape: [16, 2] }),
        };
        const expected: FitResult = await fit(model, whole.variables, first16, {
          ...options,
          device,
          optimizerState: whole.optimizerState,
        });
        assertEquals(numbers(lost.variables), numbers(expected.variables));
        // The next call has a device again, and goes on from what the error carries.
        const on = await fit(model, lost.variables, data, {
          ...options,
          device,
          optimizerState: lost.optimizerState,
        });
        const unbroken = await fit(model, expected.variables, data, {
          ...options,
          device,
          optimizerState: expected.optimizerState,
        });
        assertEquals(numbers(on.variables), numbers(unbroken.variables));
      })
    );
    assertEquals(unhandled, []);
  });
}

Deno.test("a compiled function whose device is lost works again with the next call", outlives, async () => {
  for (const threads of [1, 2]) {
    await withTraps(async (traps) => {
      const device: Device = { name: "wasm", threads, shareFrom: 0 };
      using f = compile((x: Tensor) => mul(x, sum(x)), { device, keep: true });
      const x = ones([8, 4]);
      const kept = await f(x);
      traps.next = true;
      await assertRejects(() => f(x), DeviceLost);
      assertEquals(host(kept.kind === "device" ? await kept.read() : kept).data[0], 32); // what lies there stays
      await assertRejects(() => f(kept), DeviceLost, "lost");
      traps.next = false;
      assertEquals(host(await (await f(x) as unknown as { read(): Promise<Tensor> }).read()).data[0], 32);
      traps.next = true;
      let message = "";
      try {
        f.sync(x);
      } catch (error) {
        message = (error as Error).name;
      }
      assertEquals(message, "DeviceLost");
      traps.next = false;
      await f(x);
    });
  }
});

Deno.test(
  "a stream goes on from the state before the call in which its device was lost",
  outlives,
  async () => {
    const layer = gru({ units: 5, returnSequences: true });
    const x = host(normal(key(4), [1, 9, 3]));
    const own = { params: layer.initParams(key(5), x), state: [] };
    const chunk = (from: number, to: number) =>
      tensor(host(x).data.slice(3 * from, 3 * to), { shape: [1, to - from, 3] });
    const expected = host(await predict(layer, own, x, { device: "wasm" })).data;
    for (const threads of [1, 2]) {
      await withTraps(async (traps) => {
        using stream = streaming(layer, own, { device: { name: "wasm", threads, shareFrom: 0 } });
        const outputs: number[] = [];
        const push = async (input: Tensor) => {
          outputs.push(...host(await stream.push(input)).data);
        };
        await push(chunk(0, 2));
        await push(chunk(2, 3));
        traps.next = true;
        await assertRejects(() => push(chunk(3, 5)), DeviceLost);
        await assertRejects(() => push(chunk(3, 4)), DeviceLost);
        traps.next = false;
        await push(chunk(3, 5));
        outputs.push(
          ...host(await stream.step(tensor(host(x).data.slice(15, 18), { shape: [1, 3] }))).data,
        );
        await push(chunk(6, 9));
        outputs.forEach((value, i) => assert(Math.abs(value - expected[i]) < 1e-5, `${i}`));
        assertEquals(outputs.length, expected.length);
      });
    }
  },
);

/** Memory cannot grow beyond what it has while `run` runs. */
async function withoutGrowth(run: () => Promise<void>): Promise<void> {
  const { grow } = WebAssembly.Memory.prototype;
  WebAssembly.Memory.prototype.grow = () => {
    throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
  };
  try {
    await run();
  } finally {
    WebAssembly.Memory.prototype.grow = grow;
  }
}

Deno.test(
  "wasm: memory that cannot grow is told by the call that wanted it, and the rest goes on",
  outlives,
  async () => {
    const device: Device = { name: "wasm", threads: 1 };
    using big = compile((a: Tensor) => mul(ones([1 << 21]), a), { device, keep: true });
    using small = compile((a: Tensor) => mul(a, 2), { device });
    const kept = await big(tensor(3));
    await small(tensor(1));
    await withoutGrowth(async () => {
      const held: Tensor[] = [];
      const error = await assertRejects(async () => {
        for (let call = 0; call < 100; call++) held.push(await big(tensor(call)));
      }, RangeError);
      assert(
        /has \d+ and can have 4294967296 at most; \d+ bytes are in use/.test(error.message),
        error.message,
      );
      assertEquals(host(await small(tensor(4))).data[0], 8);
      for (const tensor of held) if (tensor.kind === "device") tensor[Symbol.dispose]();
    });
    assertEquals(host(kept.kind === "device" ? await kept.read() : kept).data[5], 3);
    assertEquals((await predict(model, variables, data.x, { device })).shape, [24, 2]);
  },
);

Deno.test(
  "wasm: fit that has no memory in its second epoch throws what it has learnt",
  outlives,
  async () => {
    const { allocate } = DeviceMemory.prototype;
    const device: Device = { name: "wasm", threads: 1, relaxed: false };
    const { grow } = WebAssembly.Memory.prototype;
    let isFull = false;
    DeviceMemory.prototype.allocate = function (bytes, what) {
      return allocate.call(this, isFull ? 2 ** 33 : bytes, what);
    };
    try {
      const lost = await assertRejects(
        () =>
          fit(model, variables, data, {
            ...options,
            device,
            epochs: 3,
            callbacks: [{ onEpochEnd: () => void (isFull = true) }],
          }),
        DeviceLostError,
        "Cannot allocate memory for wasm",
      );
      isFull = false;
      assertEquals([lost.epoch, lost.step], [0, 6]);
      const { variables: after } = await fit(model, variables, data, { ...options, device, epochs: 1 });
      assertEquals(numbers(lost.variables), numbers(after));
    } finally {
      DeviceMemory.prototype.allocate = allocate;
      WebAssembly.Memory.prototype.grow = grow;
    }
  },
);

const webgpu = { ...outlives, ignore: !await createWebGpu().available() };

/** Buffers above a size cannot be made while `run` runs. */
async function withBuffersUpTo(run: (limit: { bytes: number }) => Promise<void>): Promise<void> {
  const { createBuffer } = GPUDevice.prototype;
  const limit = { bytes: Infinity };
  GPUDevice.prototype.createBuffer = function (descriptor) {
    return createBuffer.call(
      this,
      descriptor.size > limit.bytes ? { ...descriptor, size: 2 ** 50 } : descriptor,
    );
  };
  try {
    await run(limit);
  } finally {
    GPUDevice.prototype.createBuffer = createBuffer;
  }
}

Deno.test(
  "webgpu: memory that cannot grow is told by the call that wanted it, and the rest goes on",
  webgpu,
  async () => {
    const device: Device = { name: "webgpu", schedule: "steps" };
    const unhandled = await unhandledIn(() =>
      withBuffersUpTo(async (limit) => {
        using fill = compile((a: Tensor) => mul(ones([1 << 20]), a), { device, keep: true });
        using small = compile((a: Tensor) => mul(a, 2), { device });
        const kept: Tensor[] = [await fill(tensor(0))];
        limit.bytes = 20e6; // no more than the first 16 MiB
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, call) => fill(tensor(call + 1))),
        );
        const failed = results.filter((result) => result.status === "rejected");
        assert(failed.length > 3, `${failed.length} failed`);
        for (const { reason } of failed) {
          assert(reason instanceof RangeError && reason.message.includes("bytes are in use"), reason.message);
        }
        results.forEach((result) => result.status === "fulfilled" && kept.push(result.value));
        assertEquals(host(await small(tensor(4))).data[0], 8);
        for (const tensor of kept) {
          const values = host(tensor.kind === "device" ? await tensor.read() : tensor).data;
          assert(values.every((value: number) => value === values[0]));
        }
        limit.bytes = Infinity;
        kept.push(await fill(tensor(9)));
        for (const tensor of kept) if (tensor.kind === "device") tensor[Symbol.dispose]();
        assertEquals((await predict(model, variables, data.x, { device })).shape, [24, 2]);
      })
    );
    assertEquals(unhandled, []);
  },
);

Deno.test("webgpu: a compiled function works again after its device was lost", webgpu, async () => {
  const devices: GPUDevice[] = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  };
  try {
    const device: Device = { name: "webgpu", schedule: "rows" };
    using f = compile((x: Tensor) => mul(x, sum(x)), { device });
    assertEquals(host(await f(ones([2, 2]))).data[0], 4);
    devices.at(-1)?.destroy();
    await devices.at(-1)?.lost;
    await assertRejects(() => f(ones([2, 2])), DeviceLost);
    assertEquals(host(await f(ones([2, 2]))).data[0], 4);
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
  }
});
