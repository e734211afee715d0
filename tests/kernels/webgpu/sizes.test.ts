/** That code is written once for all sizes: the same executable is right for any, as fresh ones are, without more pipelines. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  add,
  argmax,
  bernoulli,
  cast,
  concat,
  cumsum,
  div,
  equal,
  exp,
  gather,
  host,
  type HostTensor,
  iota,
  key,
  log,
  matmul,
  max,
  mean,
  mul,
  neg,
  normal,
  oneHot,
  pad,
  randomBits,
  reshape,
  reverse,
  scan,
  sigmoid,
  spec,
  sub,
  sum,
  tanh,
  type Tensor,
  tensor,
  trace,
  transpose,
  valueAndGrad,
} from "../../../mod.ts";
import type { Backend, Executable } from "../../../kernels/backend.ts";
import { reference } from "../../../kernels/reference/mod.ts";
import { shapeOf } from "../../../kernels/webgpu/device_shape.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { runPasses } from "../../../src/passes/mod.ts";
import type { Program } from "../../../src/program/types.ts";
import { type Bindings, evaluateShape, multiplyDims, symbol } from "../../../src/tensor/dims.ts";
import type { Spec } from "../../../src/tensor/tensor.ts";
import { numbersFrom } from "../../operations/finite_differences.ts";

const webgpu = createWebGpu();
const options = { ignore: !await webgpu.available(), sanitizeOps: false, sanitizeResources: false };

const [FEATURES, UNITS, WORDS] = [5, 6, 7];
const batch = symbol("batch"), time = symbol("time");
const x = spec([batch, time, FEATURES]), words = spec([batch, time], "int32");

/** A recurrence over the steps of a sequence, with its weights. */
function fold(xs: Tensor, w: Tensor, u: Tensor, mask?: Tensor): readonly [Tensor, Tensor] {
  const h = mul(sum(matmul(xs, w), { axes: 1 }), 0);
  const step = (h: Tensor, x: Tensor): [Tensor, Tensor] => {
    const gate = sigmoid(add(matmul(x, w), matmul(h, u)));
    const next = add(mul(gate, h), mul(sub(1, gate), tanh(add(matmul(h, u), 1))));
    return [next, next];
  };
  return scan(step, h, xs, mask ? { mask } : {}) as readonly [Tensor, Tensor];
}

function softmax(x: Tensor): Tensor {
  const raised = exp(sub(x, max(x, { axes: -1, keepDims: true })));
  return div(raised, sum(raised, { axes: -1, keepDims: true }));
}

/** A function whose sizes are open, and the specs of its arguments. */
interface Case {
  readonly name: string;
  // deno-lint-ignore no-explicit-any -- any number of tensors
  readonly fn: (...args: any[]) => unknown;
  readonly args: readonly Spec[];
}

const w = spec([FEATURES, UNITS]), u = spec([UNITS, UNITS]);
const cases: readonly Case[] = [
  {
    name: "a recurrence with a mask, and its gradients",
    fn: (x: Tensor, mask: Tensor, w: Tensor, u: Tensor) =>
      valueAndGrad(([x, w, u]: Tensor[]) => {
        const [outputs, last] = fold(x, w, u, mask);
        return add(mean(mul(outputs, outputs)), mean(last));
      })([x, w, u]),
    args: [x, spec([batch, time], "bool"), w, u],
  },
  {
    name: "words, classes and what was counted right",
    fn: (words: Tensor, classes: Tensor, table: Tensor, w: Tensor) => {
      const logits = (table: Tensor, w: Tensor) => matmul(gather(table, words), w);
      const [loss, gradient] = valueAndGrad(([table, w]: Tensor[]) =>
        neg(mean(sum(mul(oneHot(classes, UNITS), log(softmax(logits(table, w)))), { axes: 2 })))
      )([table, w]);
      const right = equal(argmax(logits(table, w), { axis: 2 }), classes);
      return [loss, gradient, mean(cast(right, "float32"))];
    },
    args: [words, words, spec([WORDS, FEATURES]), w],
  },
  {
    name: "steps that attend to each other",
    fn: (x: Tensor, w: Tensor) => {
      const q = tanh(matmul(x, w));
      const weights = softmax(matmul(q, transpose(q, { permutation: [0, 2, 1] })));
      return [matmul(weights, x), max(weights, { axes: [0, 2] })];
    },
    args: [x, w],
  },
  {
    name: "sums, running sums and sums of rows, reversed, padded and joined",
    fn: (x: Tensor) => [
      sum(x),
      sum(x, { axes: 0 }),
      sum(x, { axes: [0, 1] }),
      cumsum(x, { axis: 1 }),
      concat([reverse(x, [1]), x], { axis: 1 }),
      pad(x, { low: [1, 0, 0], high: [0, 2, 0] }),
      reshape(mul(x, 2), [multiplyDims(batch, time), FEATURES]),
      mul(sum(x, { axes: 2 }), cast(iota([batch, time], { axis: 1 }), "float32")),
    ],
    args: [x],
  },
  {
    name: "random bits",
    fn: (
      x: Tensor,
      k: Tensor,
    ) => [
      randomBits(k, [batch, time]),
      mul(cast(bernoulli(k, [batch, time, FEATURES], { probability: 0.5 }), "float32"), x),
    ],
    args: [x, spec([2], "int32")],
  },
];

const TIMES = 20;

/** Random sizes: mostly of a moderate batch, and some far from all others. */
function sizesFrom(seed: number): { readonly batch: number; readonly time: number }[] {
  const next = numbersFrom(seed);
  const below = (most: number) => 1 + Math.floor((next() + 1) / 2 * most);
  return Array.from({ length: TIMES }, (_, index) => ({
    batch: index % 7 === 3 ? 1 : below(index % 5 === 4 ? 40 : 9),
    time: index % 6 === 5 ? 1 : below(index % 4 === 3 ? 60 : 12),
  }));
}

/** Arguments of these sizes. */
function argumentsOf(args: readonly Spec[], sizes: Bindings, seed: number): HostTensor[] {
  return args.map(({ shape, dtype }, index): HostTensor => {
    const concrete = evaluateShape(shape, sizes);
    const values = host(normal(key(seed + index), concrete));
    if (dtype === "float32") return values;
    const numbers = Int32Array.from(values.data, (value) => Math.abs(Math.floor(value * 3)) % UNITS);
    return dtype === "int32"
      ? tensor(numbers, { shape: concrete, dtype }) as HostTensor
      : tensor(Uint8Array.from(numbers, (number) => number % 2), { shape: concrete, dtype }) as HostTensor;
  });
}

async function executableOf(backend: Backend, program: Program): Promise<Executable> {
  return await backend.compile(program, {
    donate: program.inputs.map(() => false),
    keep: program.outputs.map(() => false),
  });
}

async function valuesOf(
  executable: Executable,
  inputs: readonly HostTensor[],
): Promise<(readonly number[])[]> {
  return (await executable.run(inputs)).map((each) => [...host(each as Tensor).data]);
}

function assertNear(
  actual: readonly (readonly number[])[],
  expected: typeof actual,
  { tolerance, what }: { readonly tolerance: number; readonly what: string },
): void {
  expected.forEach((values, output) => {
    assertEquals(actual[output].length, values.length, `${what}: output ${output}`);
    const most = Math.max(1, ...values.map(Math.abs));
    values.forEach((value, at) => {
      const difference = Math.abs(actual[output][at] - value);
      assert(
        difference <= tolerance * most,
        `${what}: output ${output} at ${at} is ${actual[output][at]}, not ${value}`,
      );
    });
  });
}

const LIMITS = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeWorkgroupStorageSize: 16384,
};

/** Devices of several kinds; the last one ends loops so early that scans go on in another dispatch. */
const devices: Readonly<Record<string, Backend>> = {
  "this adapter": webgpu,
  "what a graphics processor is sent": createWebGpu({
    shape: { ...shapeOf(LIMITS, { isSoftware: false, threads: 2 }), mostIterations: 60_000 },
  }),
  "an adapter with few iterations": createWebGpu({ shape: { mostIterations: 2_000, forced: "rows" } }),
};

for (const [device, backend] of Object.entries(devices)) {
  for (const [number, { name, fn, args }] of cases.entries()) {
    Deno.test(
      `webgpu: one executable is right for ${TIMES} sizes (${name}; ${device})`,
      options,
      async () => {
        const program = runPasses(trace(fn as never, ...args).program);
        using one = await executableOf(backend, program);
        using expected = await executableOf(reference, program);
        for (const [index, sizes] of sizesFrom(100 + number).entries()) {
          const what = `sizes ${index}, ${sizes.batch} × ${sizes.time}`;
          const inputs = argumentsOf(args, sizes, index);
          const actual = await valuesOf(one, inputs);
          // What was rounded at sums of a few hundred terms.
          assertNear(actual, await valuesOf(expected, inputs), { tolerance: 2e-5, what });
          if (index % 5 !== 2) continue;
          using fresh = await executableOf(backend, program);
          assertNear(actual, await valuesOf(fresh, inputs), {
            tolerance: 0,
            what: `${what}, against a fresh one`,
          });
        }
      },
    );
  }
}

/** Counts the pipelines that are made while `run` runs. */
async function pipelinesOf(run: () => Promise<unknown>): Promise<number> {
  const { createComputePipelineAsync } = GPUDevice.prototype;
  let count = 0;
  GPUDevice.prototype.createComputePipelineAsync = function (descriptor) {
    count++;
    return createComputePipelineAsync.call(this, descriptor);
  };
  try {
    await run();
  } finally {
    GPUDevice.prototype.createComputePipelineAsync = createComputePipelineAsync;
  }
  return count;
}

Deno.test("webgpu: sizes near those of a call before make no pipeline, others few", options, async () => {
  const [{ fn, args }] = cases;
  const program = runPasses(trace(fn as never, ...args).program);
  using executable = await executableOf(webgpu, program);
  const call = (batch: number, time: number) =>
    pipelinesOf(() => executable.run(argumentsOf(args, { batch, time }, 0)));
  const first = await call(8, 40);
  assert(first > 0);
  for (const [batch, time] of [[8, 41], [7, 39], [6, 60], [8, 40]]) assertEquals(await call(batch, time), 0);
  // How long sums are rounded depends on their length alone.
  const fewer = await call(2, 3);
  assert(fewer <= 4, `${fewer} pipelines`);
  for (const [batch, time] of [[1, 1], [3, 2]]) assertEquals(await call(batch, time), 0);
  const larger = await call(64, 200);
  assert(larger > 0 && larger <= 3 * first, `${larger} pipelines, ${first} at first`);
  for (const [batch, time] of [[60, 190], [8, 40], [2, 3]]) assertEquals(await call(batch, time), 0);
  assertStringIncludes(executable.describe(), "variant 2");
});

Deno.test("webgpu: intermediate results of all executables lie in one place", options, async () => {
  const [{ fn, args }] = cases;
  const program = runPasses(trace(fn as never, ...args).program);
  const bytes = (executable: Executable) =>
    Number(executable.describe().match(/(\d+) bytes of its memory/)?.[1]);
  using one = await executableOf(webgpu, program);
  await one.run(argumentsOf(args, { batch: 16, time: 100 }, 0));
  const before = bytes(one);
  using other = await executableOf(webgpu, program);
  for (const time of [20, 40, 60, 80, 100]) await other.run(argumentsOf(args, { batch: 16, time }, 0));
  assert(bytes(other) - before <= 1024, `${bytes(other)} bytes, ${before} before`);
});
