/** That the memory of a wasm device does not grow, is all given back, reaches 4 GiB, and is refused beyond. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  add,
  batchNormalization,
  compile,
  createTrainer,
  dense,
  type Device,
  expandDims,
  host,
  type HostTensor,
  init,
  item,
  key,
  lstm,
  matmul,
  mul,
  normal,
  scan,
  sequential,
  sin,
  spec,
  streaming,
  sum,
  tanh,
  type Tensor,
  tensor,
  trace,
  uniform,
  valueAndGrad,
  zeros,
} from "../../../mod.ts";
import { WasmDevice } from "../../../kernels/wasm/device.ts";
import { CpuExecutable } from "../../../kernels/cpu/executable.ts";
import { createWasm } from "../../../kernels/wasm/mod.ts";
import { runProgram } from "../../../kernels/reference/mod.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import { fitWith } from "../../../src/training/fit.ts";
import { eventually } from "../../support/eventually.ts";

/** A test of a device whose workers outlive it. */
function testOfDevice(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, sanitizeResources: false, sanitizeOps: false, fn });
}

/**
 * How many bytes of a device's memory are in use, as its executables say, beside those that all calls share, of
 * which there are as many as the largest call needs.
 */
async function meter(device: Device): Promise<() => number> {
  const probe = compile((x: Tensor) => add(x, 1), { device });
  await probe(tensor(0));
  return () => {
    const [, bytes] = probe.explain().match(/(\d+) bytes of its memory in use/) ?? [];
    return Number(bytes);
  };
}

const model = sequential([lstm({ units: 5 }), batchNormalization(), dense({ units: 3 })]);
const [SAMPLES, BATCH, EPOCHS] = [64, 8, 250];

testOfDevice(
  "2,000 steps of training take no more memory than the first, and give all of it back",
  async () => {
    const device: Device = { name: "wasm", threads: 2, shareFrom: 0 };
    const used = await meter(device);
    const before = used();
    const data = {
      x: host(normal(key(1), [SAMPLES, 6, 4])),
      y: tensor(Array.from({ length: SAMPLES }, (_, i) => i % 3), { dtype: "int32" }),
    };
    const readings: number[] = [];
    const trainer = createTrainer(model, {
      loss: "sparseCategoricalCrossentropy",
      optimizer: "adam",
      metrics: ["accuracy"],
      device,
    });
    const { history } = await fitWith(trainer, init(model, key(0), data.x), data, {
      batchSize: BATCH,
      epochs: EPOCHS,
      validation: data,
      report: "none",
      callbacks: [{ onEpochEnd: () => void readings.push(used()) }],
    });
    assertEquals(history.loss.length, EPOCHS);
    assert(before < readings[0]);
    assertEquals(new Set(readings.slice(1)).size, 1, `in use after each epoch: ${readings}`);
    trainer[Symbol.dispose]();
    assertEquals(await eventually(used, before), before);
  },
);

testOfDevice("calls, kept results, many sizes, streams and failures give all their memory back", async () => {
  const device: Device = { name: "wasm", threads: 1, shareFrom: 0 };
  const used = await meter(device);
  const before = used();
  {
    using step = compile((state: Tensor, x: Tensor): [Tensor, Tensor] => [add(state, x), sum(x)], {
      device,
      donate: [0],
      keep: [0],
    });
    let state: Tensor = zeros([7, 3]);
    const readings: number[] = [];
    for (let call = 0; call < 200; call++) {
      [state] = await step(state, tensor(new Array(21).fill(1), { shape: [7, 3] }));
      readings.push(used());
    }
    assertEquals(new Set(readings.slice(2)).size, 1);
    using read = compile((x: Tensor) => mul(x, 1), { device });
    assertEquals(host(await read(state)).data[0], 200);
    if (state.kind === "device") state[Symbol.dispose]();
  }
  assertEquals(used(), before);
  {
    using sized = compile((x: Tensor) => tanh(x), { device, specs: [spec([null])] });
    const readings: number[] = [];
    for (let size = 300; size > 0; size -= 10) {
      await sized(zeros([size]));
      readings.push(used());
    }
    assertEquals(Math.max(...readings.slice(10)), Math.max(...readings.slice(0, 10)));
  }
  assertEquals(used(), before);
  {
    const layer = lstm({ units: 5 });
    using stream = streaming(layer, init(layer, key(0), zeros([1, 1, 4])), { device });
    const readings: number[] = [];
    for (let push = 0; push < 20; push++) {
      await stream.push(zeros([1, 1, 4]));
      readings.push(used());
    }
    assertEquals(new Set(readings).size, 1);
  }
  assertEquals(used(), before);
});

testOfDevice(
  "calls at once, of one size and of many, give what calls in turn give, and all their memory back",
  async () => {
    const device: Device = { name: "wasm", threads: 2, shareFrom: 0 };
    const used = await meter(device);
    const before = used();
    {
      using fn = compile((x: Tensor) => sum(tanh(x)), { device, specs: [spec([null])] });
      const sizes = [3, 3, 3, ...Array.from({ length: 24 }, (_, size) => size), 3];
      const sums = await Promise.all(sizes.map((size) => fn(zeros([size]))));
      assertEquals(sums.map((x) => item(x)), sizes.map(() => 0));
    }
    assertEquals(used(), before);
    const late = compile((x: Tensor) => sum(tanh(x)), { device, specs: [spec([null])] });
    await late(zeros([2]));
    const pending = late(zeros([5]));
    late[Symbol.dispose]();
    await pending.catch(() => {}); // whether it still answers is not said
    assertEquals(used(), before);
    const early = compile((x: Tensor) => sum(tanh(x)), { device });
    const first = early(zeros([4]));
    early[Symbol.dispose]();
    await first.catch(() => {});
    assertEquals(used(), before);
  },
);

testOfDevice("a plan beyond 4 GiB is refused by the largest buffers and checkpointEvery", async () => {
  const device: Device = { name: "wasm", threads: 1, relaxed: false };
  const used = await meter(device);
  const before = used();
  {
    using wide = compile((x: Tensor) => {
      const square = sin(add(expandDims(x, 1), x)); // [40000, 40000], 6.4 GB
      return sum(matmul(square, square));
    }, { device });
    const error = await assertRejects(() => wide(zeros([40_000])), RangeError, "Cannot allocate");
    assertStringIncludes(error.message, "its largest buffers are ");
    assertStringIncludes(error.message, "sin (6400000000 bytes)");
    assertStringIncludes(error.message, "checkpointEvery");

    using long = compile((w: Tensor) =>
      valueAndGrad((w: Tensor) => {
        const [outputs] = scan(
          (h: Tensor) => {
            const next = tanh(matmul(h, w));
            return [next, next];
          },
          zeros([64, 256]),
          [],
          { length: 200_000 }, // 13 GB of outputs
        );
        return sum(mul(outputs, outputs));
      })(w), { device });
    const tooLong = await assertRejects(() => long(zeros([256, 256])), RangeError, "checkpointEvery");
    assertStringIncludes(tooLong.message, "scan (13107200000 bytes)");
  }
  assertEquals(used(), before);
});

testOfDevice("loops of one kind take a place for each carried value, and one spare for all", async () => {
  const device = new WasmDevice("loops", { threads: 1 });
  const roles = { carried: [{ input: 0, output: 1 }], fresh: [1] };
  const step = (state: Tensor, x: Tensor) => [sum(state), add(state, x)];
  const inputs = [zeros([1000]), zeros([1000])].map(host);
  const program = trace(step, ...inputs).program;
  using executable = new CpuExecutable(device, program, { donate: [false, false], keep: [false, false] });
  const first = await executable.loop(inputs, roles);
  const used = () => device.memory.used - device.scratch.bytes;
  const withOne = used();
  const others = [];
  for (let loop = 0; loop < 9; loop++) others.push(await executable.loop(inputs, roles));
  assertEquals(used() - withOne, 9 * Math.ceil(4000 / 64) * 64);
  // They take turns in another order each time, and each goes on from its own state.
  const loops = [first, ...others];
  const states = loops.map(() => 0);
  for (let turn = 0; turn < 60; turn++) {
    const at = turn * 7 % loops.length, by = turn + 1;
    const [total] = loops[at].run([{ ...inputs[1], data: new Float32Array(1000).fill(by) }]);
    assertEquals(total.data[0], 1000 * states[at]);
    states[at] += by;
  }
  loops.forEach((loop, at) => assertEquals(new Set(loop.read()[0].data), new Set([states[at]])));
  others[0].write([{ ...inputs[0], data: new Float32Array(1000).fill(-1) }]);
  assertEquals([others[0].read()[0].data[999], first.read()[0].data[999]], [-1, states[0]]);
  for (const loop of loops) loop[Symbol.dispose]();
  assertEquals(withOne - used(), 2 * Math.ceil(4000 / 64) * 64);
  const [again] = (await executable.loop(inputs, roles)).run([inputs[1]]);
  assertEquals(again.data[0], 0);
});

testOfDevice(
  "when there is no memory left, the error lists who holds how much, the largest first",
  async () => {
    const device: Device = { name: "wasm", threads: 1, relaxed: true };
    using weigh = compile((x: Tensor, w: Tensor) => matmul(x, w), { device, keep: true });
    const kept = await weigh(zeros([64, 64]), zeros([64, 64]));
    using wide = compile((x: Tensor) => add(expandDims(x, 1), x), { device });
    const { message } = await assertRejects(() => wide(zeros([40_000])), RangeError, "Cannot allocate");
    assertMatch(message, /the plan takes \d+ bytes(, its largest buffers are [^;]+)?; a scan/);
    const [, list] = message.match(/bytes are in use: (.*); the plan takes/) ?? [];
    const held = [...list.matchAll(/(\d+) by ([a-z ]+) \((\d+), the largest (\d+)\)/g)].map((match) => ({
      bytes: Number(match[1]),
      holder: match[2],
      largest: Number(match[4]),
    }));
    assertEquals(held.find(({ holder }) => holder === "tensors")?.bytes, 64 * 64 * 4);
    const [, used] = message.match(/(\d+) bytes are in use/) ?? [];
    assertEquals(held.reduce((sum, { bytes }) => sum + bytes, 0), Number(used));
    assertEquals(held.map(({ bytes }) => bytes), held.map(({ bytes }) => bytes).toSorted((a, b) => b - a));
    assert(held.every(({ bytes, largest }) => largest > 0 && largest <= bytes));
    if (kept.kind === "device") kept[Symbol.dispose]();
  },
);

testOfDevice("an output beyond 4 GiB is refused", async () => {
  const device: Device = { name: "wasm", threads: 1, relaxed: true };
  const used = await meter(device);
  const before = used();
  using wide = compile((x: Tensor) => [mul(x, 2), add(expandDims(x, 1), x)], { device, keep: true });
  await assertRejects(() => wide(zeros([40_000])), RangeError, "Cannot allocate");
  await assertRejects(() => wide(zeros([40_000])), RangeError, "Cannot allocate");
  wide[Symbol.dispose]();
  assertEquals(used(), before);
});

testOfDevice("addresses beyond 2 GiB are as good as others", async () => {
  const device = new WasmDevice("high", { threads: 2, shareFrom: 0 });
  device.memory.allocate(2 ** 31 - 2 ** 15, () => "what lies below"); // never touched, so that it takes no memory
  const shapes = [[9, 6, 5], [5, 7], [7, 7], [600, 9], [600, 11]];
  const inputs = shapes.map((shape, index) => host(uniform(key(index), shape, { min: -1, max: 1 })));
  const compute = (x: Tensor, w: Tensor, u: Tensor, a: Tensor, b: Tensor) => [
    matmul(a, b, { transposeLeft: true }),
    ...valueAndGrad((u: Tensor) => {
      const [outputs] = scan(
        (h: Tensor, x: Tensor) => {
          const next = tanh(add(matmul(x, w), matmul(h, u)));
          return [next, next];
        },
        zeros([9, 7]),
        x,
      );
      return sum(mul(outputs, outputs));
    })(u),
  ];
  const program = runPasses(trace(compute, ...inputs).program);
  using executable = new CpuExecutable(device, program, {
    donate: inputs.map(() => false),
    keep: program.outputs.map(() => false),
  });
  const actual = (await executable.run(inputs)).map(host);
  runProgram(program, inputs).forEach((expected: HostTensor, output) => {
    const largest = Math.max(...expected.data);
    expected.data.forEach((value: number, i: number) => {
      const difference = Math.abs(actual[output].data[i] - value);
      assert(
        difference <= 1e-5 * (1 + largest),
        `output ${output} at ${i}: ${actual[output].data[i]}, not ${value}`,
      );
    });
  });
});

testOfDevice("float64 is refused with the remedy, and auto runs it on the reference", async () => {
  const double = (x: Tensor) => mul(x, 2);
  using refused = compile(double, { device: "wasm" });
  const error = await assertRejects(
    () => refused(tensor([1], { dtype: "float64" })),
    TypeError,
    "no float64",
  );
  assertStringIncludes(error.message, 'use cast(x, "float32"), or the device reference');
  using auto = compile(double);
  assertEquals(auto.device, "auto");
  const result = host(await auto(tensor([1 / 3], { dtype: "float64" })));
  assertEquals([result.dtype, result.data[0]], ["float64", 2 / 3]);
  using inside = compile((x: Tensor) => sum(mul(x, tensor([1], { dtype: "float64" }))), {
    device: { name: "wasm", threads: 1 },
  });
  await assertRejects(() => inside(tensor([1], { dtype: "float64" })), TypeError, "float64");
  assertEquals(createWasm().name, "wasm");
});

Deno.test("an option shareFrom that is no whole number is refused", () => {
  for (const shareFrom of [-1, 0.5, NaN]) {
    assertThrows(
      () => compile((x: Tensor) => x, { device: { name: "wasm", shareFrom } }),
      RangeError,
      `shareFrom ${shareFrom}: expected a whole number from 0`,
    );
  }
});
