/** How scans are scheduled on WebGPU, and that every way computes the same. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  add,
  cast,
  compile,
  type Device,
  explanation,
  grad,
  host,
  type HostTensor,
  init,
  key,
  layerNormLstm,
  lstm,
  matmul,
  max,
  mean,
  mul,
  normal,
  scan,
  sum,
  tanh,
  type Tensor,
  toHost,
  treeLeaves,
  type Variables,
  zeros,
} from "../../../mod.ts";
import { lowerProgram } from "../../../kernels/lowering/lower.ts";
import type { Kernel, ScanKernel } from "../../../kernels/lowering/kernels.ts";
import { sizesAt } from "../../../kernels/lowering/kinds/kind.ts";
import { type Buffer, viewOf } from "../../../kernels/lowering/views.ts";
import { planRowMemory } from "../../../kernels/webgpu/row_memory.ts";
import { shapeOf } from "../../../kernels/webgpu/device_shape.ts";
import { scheduleOf, shapeFor } from "../../../kernels/webgpu/schedule.ts";
import type { Backend } from "../../../kernels/backend.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { barriersBetween } from "../../../kernels/webgpu/wgsl/barriers.ts";
import { flattenTree, unflattenTree } from "../../../src/tree/mod.ts";

const LIMITS = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeWorkgroupStorageSize: 16384,
};
const gpu = shapeOf(LIMITS, { isSoftware: false, threads: 8 });
const sizes = sizesAt({});

/** The scan of an LSTM's forward pass. */
function lstmScan(batch: number, units: number): ScanKernel {
  const layer = lstm({ units, kernelInitializer: "zeros", recurrentInitializer: "zeros" });
  const x = host(normal(key(0), [batch, 3, 5]));
  const variables = init(layer, key(1), x);
  using compiled = compile((variables: Variables, x: Tensor) =>
    layer.apply(variables, x, { training: false }).output
  );
  const program = compiled.program(variables, x);
  const scan = lowerProgram(program, { columns: 1 }).kernels.find(({ kind }) => kind === "scan");
  assert(scan?.kind === "scan");
  return scan;
}

Deno.test("a scan goes by rows where many rows have small weights, else by steps", async () => {
  const scheduleFor = async (batch: number, units: number) =>
    scheduleOf(await lstmScan(batch, units), { device: gpu, sizes }).schedule;
  assertEquals(await scheduleFor(64, 64), "rows");
  assertEquals(await scheduleFor(64, 128), "rows");
  assertEquals(await scheduleFor(1, 1024), "steps");
  assertEquals(await scheduleFor(64, 1024), "steps");
  // Where nothing is gained by the whole device, one workgroup does it all.
  assertEquals(await scheduleFor(1, 4), "together");
});

Deno.test("a schedule that is asked for is taken where it is possible", async () => {
  const forced = (forced: "rows" | "steps") => ({
    device: shapeOf(LIMITS, { isSoftware: false, threads: 8, forced }),
    sizes,
  });
  assertEquals(scheduleOf(await lstmScan(64, 64), forced("steps")).schedule, "steps");
  assertEquals(scheduleOf(await lstmScan(64, 1024), forced("rows")).schedule, "rows");
  assertEquals(scheduleOf(await lstmScan(1, 8), forced("rows")).schedule, "together");
});

Deno.test("the limits of an adapter are kept: invocations, and the memory of a workgroup", async () => {
  const small = shapeOf({ ...LIMITS, maxComputeInvocationsPerWorkgroup: 128 }, {
    isSoftware: false,
    threads: 8,
  });
  assertEquals(small.workgroupSize, 128);
  const scan = await lstmScan(64, 64);
  const words = (bytes: number) => planRowMemory(scan, { rows: 2, bytes, elsewhere: () => false }).words;
  assertEquals(words(0), 0);
  assert(words(700) > 0 && words(700) <= 175, `${words(700)} words`);
  assert(words(1 << 14) > words(700));
});

const ignore = !await createWebGpu().available();
const layer = lstm({ units: 7, returnSequences: true });
const x = host(normal(key(2), [6, 9, 5]));
const variables = init(layer, key(3), x);
const weights = host(normal(key(4), [6, 9, 7]));

/** A loss with its gradients, and what `explain` says. */
async function computedOn(device: Device): Promise<{ readonly values: number[]; readonly report: string }> {
  const loss = (variables: Variables, x: Tensor) =>
    sum(mul(layer.apply(variables, x, { training: false }).output as Tensor, weights));
  using compiled = compile((variables: Variables, x: Tensor) => [
    layer.apply(variables, x, { training: false }).output as Tensor,
    grad(loss)(variables, x),
  ], { device });
  const leaves = treeLeaves<HostTensor>(await toHost(await compiled(variables, x)));
  return { values: leaves.flatMap(({ data }) => [...data]), report: compiled.explain() };
}

function assertNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  assertEquals(actual.length, expected.length);
  const most = Math.max(...expected.map(Math.abs));
  const difference = Math.max(...actual.map((value, index) => Math.abs(value - expected[index])));
  assert(difference <= tolerance * most, `differs by ${difference}, of at most ${most}`);
}

Deno.test({
  name: "rows and steps compute the same as the reference, and explain tells which and why",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const expected = await computedOn("reference");
    for (const schedule of ["rows", "steps"] as const) {
      const { values, report } = await computedOn({ name: "webgpu", schedule });
      assertNear(values, expected.values, 1e-5);
      assertStringIncludes(report, `by ${schedule}: as asked for`);
      if (schedule === "rows") assertStringIncludes(report, "bytes of their memory");
    }
  },
});

Deno.test({
  name: "explanation lists the kernels after a single call, with how often they run, and measures none",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const w = normal(key(1), [4, 4]);
    const cell = (h: Tensor, x: Tensor): [Tensor, Tensor] => {
      const next = tanh(add(x, matmul(h, w)));
      return [next, next];
    };
    using compiled = compile((x: Tensor) => scan(cell, zeros([2, 4]), x)[1], { device: "webgpu" });
    await compiled(normal(key(2), [2, 7, 4]));
    const { kernels, measuredCalls } = explanation(compiled);
    const loops = kernels.filter(({ kind }) => kind === "scan");
    assertEquals(loops.map(({ body }) => body.every(({ runs }) => runs === 7)), [true]);
    assertEquals([measuredCalls, kernels[0].milliseconds], [undefined, undefined]);
  },
});

Deno.test({
  name: "precision f16 stores values of every step as halves, and is near",
  ignore: ignore || !(await navigator.gpu?.requestAdapter())?.features.has("shader-f16"),
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const expected = await computedOn("reference");
    const { values, report } = await computedOn({ name: "webgpu", precision: "f16" });
    assertNear(values, expected.values, 2e-2);
    assertStringIncludes(report, "array<f16>");
  },
});

/** Fails unless a backend computes of a function what the reference does; returns what it reports. */
async function assertSameOn<Args extends readonly Tensor[]>(
  backend: Backend,
  fn: (...args: Args) => unknown,
  args: Args,
  tolerance = 1e-5,
): Promise<string> {
  // deno-lint-ignore no-explicit-any -- any tree of tensors
  using compiled = compile(fn as any, { device: "reference" });
  const expected = treeLeaves<HostTensor>(await toHost(await compiled(...args)));
  const program = compiled.program(...args);
  const inputs = args.map(host);
  using executable = await backend.compile(program, {
    donate: inputs.map(() => false),
    keep: program.outputs.map(() => false),
  });
  const actual = (await executable.run(inputs)).map((each) => host(each as Tensor));
  assertEquals(actual.length, expected.length);
  actual.forEach((each, index) => assertNear([...each.data], [...expected[index].data], tolerance));
  return executable.describe();
}

/** What the shape of a graphics processor makes of kernels, but for the limits of this adapter. */
const likeGpu = { ...gpu, mostIterations: 60_000, forced: undefined };

Deno.test({
  name: "what a graphics processor is sent computes the same as the reference, by rows and by steps",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    for (const forced of ["rows", "steps"] as const) {
      const backend = createWebGpu({ shape: { ...likeGpu, forced } });
      for (const [batch, units, features] of [[6, 7, 5], [70, 66, 20]]) {
        const layer = lstm({ units, returnSequences: true });
        const x = host(normal(key(2), [batch, 4, features]));
        const { params } = init(layer, key(3), x);
        const { leaves, structure } = flattenTree<Tensor>(params);
        const fn = (...args: readonly Tensor[]) => {
          const [x, ...rest] = args;
          const variables = { params: unflattenTree(structure, rest), state: {} } as Variables;
          const loss = (variables: Variables) => {
            const output = layer.apply(variables, x, { training: false }).output as Tensor;
            return mean(mul(output, output));
          };
          return [loss(variables), treeLeaves(grad(loss)(variables))];
        };
        await assertSameOn(backend, fn, [x, ...leaves] as const, 2e-5);
      }
    }
  },
});

Deno.test({
  name: "tiles of a product compute the same as the reference, whatever their size and that of the product",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    for (const sums of [1, 2, 8, 16, 32, 64, 128, 256, 512]) {
      // Where loops are kept sums are shared out: a product alone has 4 to 128.
      const hidesLoopBounds = sums >= 4 && sums <= 128;
      const shape = { tiles: { read: 1000, sums }, workgroups: 1, workgroupSize: 1, hidesLoopBounds };
      const backend = createWebGpu({ shape });
      for (const [m, k, n] of [[33, 41, 65], [64, 43, 32]]) {
        const [a, b, c, d] = [[m, k], [k, n], [m, n], [n]].map((shape, index) =>
          host(normal(key(index), shape))
        );
        const fn = (a: Tensor, b: Tensor, c: Tensor, d: Tensor) => add(add(matmul(a, b), c), d);
        const report = await assertSameOn(backend, fn, [a, b, c, d] as const);
        assertEquals(report.match(/= fma\(/g)?.length, sums);
      }
    }
  },
});

Deno.test("invocations wait where a kernel reads or overwrites what one before it wrote or read", () => {
  const buffer = (name: string): Buffer => ({ name, size: 8, storage: { kind: "arena" } });
  const [a, b, c, d] = ["a", "b", "c", "d"].map(buffer);
  const sums = (input: Buffer, output: Buffer): Kernel => ({
    kind: "reduce",
    name: "sum",
    input: viewOf(input, [2, 4], "float32"),
    axes: [1],
    output: viewOf(output, [2], "float32"),
  });
  const waits = (...kernels: readonly [Buffer, Buffer][]) =>
    barriersBetween(kernels.map(([input, output]) => sums(input, output)));
  assertEquals(waits([a, b], [a, c]), [false, false], "both read the same");
  assertEquals(waits([a, b], [b, c]), [false, true], "reads what was written");
  assertEquals(waits([a, b], [c, b]), [false, true], "writes what was written");
  assertEquals(waits([a, b], [c, a]), [false, true], "writes what was read");
  assertEquals(
    waits([a, b], [b, c], [b, d], [c, a]),
    [false, true, false, true],
    "one wait is for all before",
  );
});

Deno.test("on a processor the products of a Program share sums, more of them with more work", async () => {
  const software = shapeOf(LIMITS, { isSoftware: true, threads: 2 });
  const sumsFor = async (batch: number, units: number, products: number) => {
    const scans = await Promise.all(Array.from({ length: products }, () => lstmScan(batch, units)));
    return shapeFor(scans, { device: software, sizes }).tiles.sums;
  };
  const [one, two, large] = [await sumsFor(64, 64, 1), await sumsFor(64, 64, 2), await sumsFor(512, 512, 2)];
  assert(two < one && two < large, `${[one, two, large]}`);
  assertEquals(large, software.tiles.sums);
  assertEquals(shapeFor([await lstmScan(64, 64)], { device: gpu, sizes }), gpu);
});

Deno.test({
  name: "large products in blocks compute the same as the reference, whatever their shape and what is added",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const backend = createWebGpu({ shape: { blocks: true, workgroupSize: 256 } });
    for (const [m, k, n] of [[64, 32, 64], [100, 37, 70], [130, 64, 65]]) {
      const [a, b, c] = [[m, k], [k, n], [m, n]].map((shape, index) => host(normal(key(index), shape)));
      const report = await assertSameOn(backend, (a, b, c) => add(matmul(a, b), c), [a, b, c] as const, 1e-6);
      assertStringIncludes(report, "leftBlock");
    }
  },
});

Deno.test({
  name: "teams of invocations reduce to the same as the reference, also within a scan",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const norm = layerNormLstm({ units: 40 });
    const input = host(normal(key(5), [3, 4, 6]));
    const variables = init(norm, key(6), input);
    const matrix = host(normal(key(7), [3, 1001]));
    const backend = createWebGpu({ shape: { ...likeGpu, forced: "rows" } });
    const cases: readonly (() => Tensor)[] = [
      () => sum(matrix),
      () => sum(matrix, { axes: 1 }),
      () => max(matrix, { axes: 1 }),
      () => sum(cast(mul(matrix, 10), "int32"), { axes: 1 }),
      () => norm.apply(variables, input, { training: false }).output as Tensor,
    ];
    for (const fn of cases) {
      assertStringIncludes(await assertSameOn(backend, fn, []), "parts[lane]");
    }
  },
});
