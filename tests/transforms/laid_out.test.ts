/** Layouts of weights that a function is given again are computed once, and never used for others. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  add,
  compile,
  concat,
  defineLayer,
  type Device,
  host,
  type HostTensor,
  matmul,
  predict,
  tanh,
  type Tensor,
  tensor,
  transpose,
  type Variables,
} from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { type Backend, DeviceOutOfMemory, type Executable, type Input } from "../../kernels/backend.ts";
import { lazyTrace, trace } from "../../src/program/functions.ts";
import { compileLaidOut } from "../../src/transforms/laid_out.ts";
import { runTrace } from "../../src/transforms/runner.ts";
import { backendsFor, uploadTree } from "../../src/transforms/uploads.ts";
import { fileOf, node, signed } from "../formats/onnx/support/graphs.ts";

interface Params {
  readonly kernel: Tensor;
  readonly bias: Tensor;
}

const values = (count: number, from: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(from + i));
const paramsOf = (seed: number) => ({
  kernel: tensor(values(18, seed), { shape: [3, 6] }),
  bias: tensor(values(3, seed + 50), { shape: [3] }),
});
const x = tensor(values(12, 9), { shape: [2, 6] });

/** A dense layer whose kernel has its axes the other way around. */
function compute({ kernel, bias }: Params, x: Tensor): Tensor {
  return tanh(add(matmul(x, transpose(kernel)), bias));
}

const alone = (params: Params, given: Tensor = x): number[] => [...host(compute(params, given)).data];

/** A backend that counts the calls of each Program that it compiles, in order. */
function counting(backend: Backend): { readonly backend: Backend; readonly calls: number[] } {
  const calls: number[] = [];
  const compileCounting: Backend["compile"] = async (program, options) => {
    const executable = await backend.compile(program, options);
    const index = calls.push(0) - 1;
    const counted = <Result>(run: (inputs: readonly Input[]) => Result) => (inputs: readonly Input[]) => {
      calls[index]++;
      return run.call(executable, inputs);
    };
    return {
      run: counted(executable.run),
      ...(executable.runSync && { runSync: counted(executable.runSync) }),
      describe: () => executable.describe(),
      [Symbol.dispose]: () => executable[Symbol.dispose](),
    } satisfies Executable;
  };
  return { calls, backend: { ...backend, compile: compileCounting } };
}

const devices = ["reference", "wasm", "webgpu"] as const;

for (const device of devices) {
  Deno.test({
    name: `compileLaidOut lays out again only where others are given, or values on the host: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    async fn() {
      const { program } = trace(compute as (...args: never[]) => unknown, paramsOf(1), x);
      const { backend, calls } = counting((await backendsFor(device))[0]);
      using executable = await compileLaidOut(backend, program, 2, {
        donate: [false, false, false],
        keep: [false],
      });
      const [one, other] = [paramsOf(1), paramsOf(2)];
      const [first, second] = [await uploadTree(one, device), await uploadTree(other, device)];
      const near = (outputs: readonly Tensor[], params: Params) =>
        alone(params).forEach((value, i) => {
          const { data } = host(outputs[0]);
          if (Math.abs(data[i] - value) > 1e-6) throw new Error(`${data[i]} instead of ${value}`);
        });
      const run = async ({ bias, kernel }: Params, like: Params) =>
        near(await executable.run([bias as Input, kernel as Input, x]), like);
      // Calls of the whole Program, of the layouts and of what follows: after three in a row.
      for (const expected of [[1], [2], [3], [3, 1, 1], [3, 1, 2]]) {
        await run(first, one);
        assertEquals(calls, expected);
      }
      await run(second, other);
      for (let call = 0; call < 3; call++) await run(first, one);
      assertEquals(calls, [7, 1, 2]);
      await Promise.all([run(first, one), run(first, one), run(second, other)]);
      assertEquals(calls, [8, 2, 4]);
      await Promise.all([2, 3, 4, 5].map(() => run(second, other)));
      assertEquals(calls, [10, 3, 6]);
      if (executable.runSync) near(executable.runSync([second.bias, second.kernel, x]), other);
      else await run(second, other);
      assertEquals(calls, [10, 3, 7]);
      // Values on the host may be written to.
      const written: Params & { readonly kernel: HostTensor } = {
        ...one,
        kernel: tensor(values(18, 1), { shape: [3, 6] }),
      };
      await run(written, one);
      written.kernel.data.set(host(other.kernel).data);
      await run(written, { ...one, kernel: other.kernel });
      assertEquals(calls, [12, 3, 7]);
      for (const { bias, kernel } of [first, second]) {
        bias[Symbol.dispose]();
        kernel[Symbol.dispose]();
      }
    },
  });
}

Deno.test("where memory runs out for what is laid out, calls go on without it", async () => {
  const { program } = trace(compute as (...args: never[]) => unknown, paramsOf(1), x);
  const [wasm] = await backendsFor("wasm");
  let asked = 0, freed = 0;
  const full: Backend["compile"] = async (program, options) => {
    const executable = await wasm.compile(program, options);
    const isLayout = program.equations.every(({ operation }) => operation.name === "transpose");
    const run = (inputs: readonly Input[]) => {
      if (!isLayout) return executable.run(inputs);
      asked++;
      return Promise.reject(new DeviceOutOfMemory("full"));
    };
    const dispose = () => {
      freed++;
      executable[Symbol.dispose]();
    };
    return { run, describe: () => executable.describe(), [Symbol.dispose]: dispose };
  };
  const executable = await compileLaidOut({ ...wasm, compile: full }, program, 2, {
    donate: [false, false, false],
    keep: [false],
  });
  const params = paramsOf(1);
  const { bias, kernel } = await uploadTree(params, "wasm");
  for (let call = 0; call < 8; call++) {
    const { data } = host((await executable.run([bias, kernel, x]))[0]);
    alone(params).forEach((value, i) => assertEquals(Math.abs(value - data[i]) < 1e-6, true));
  }
  assertEquals(asked, 1);
  executable[Symbol.dispose]();
  assertEquals(freed, 3);
  bias[Symbol.dispose]();
  kernel[Symbol.dispose]();
});

Deno.test("calls with other inputs while the layouts are compiled do not mix them up", async () => {
  const { program } = trace(compute as (...args: never[]) => unknown, paramsOf(1), x);
  const [backend] = await backendsFor("wasm");
  const executable = await compileLaidOut(backend, program, 2, {
    donate: [false, false, false],
    keep: [false],
  });
  const all = [paramsOf(1), paramsOf(2)];
  const placed = [await uploadTree(all[0], "wasm"), await uploadTree(all[1], "wasm")];
  const order = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1];
  const run = (at: number) => executable.run([placed[at].bias, placed[at].kernel, x]);
  const outputs = await Promise.all(order.map(run));
  for (const again of [await run(1), await run(1), await run(0)]) outputs.push(again);
  [...order, 1, 1, 0].forEach((at, call) => {
    const { data } = host(outputs[call][0]);
    alone(all[at]).forEach((value, i) =>
      assertEquals(Math.abs(value - data[i]) < 1e-6, true, `call ${call}`)
    );
  });
  executable[Symbol.dispose]();
  await assertRejects(() => run(0), Error, "disposed");
  for (const leaf of placed.flatMap((tree) => Object.values(tree))) leaf[Symbol.dispose]();
});

Deno.test("what is laid out is freed when others are given, and with what runs it", async () => {
  const device: Device = { name: "wasm", threads: 1, shareFrom: 7003 };
  const probe = compile((x: Tensor) => add(x, 1), { device });
  await probe(tensor(0));
  const used = () => Number(probe.explain().match(/(\d+) bytes of its memory in use/)?.[1]);
  const placed = await uploadTree(paramsOf(1), device);
  const traced = lazyTrace(compute as (...args: never[]) => unknown, [paramsOf(1), x]);
  const run = runTrace<[Params, Tensor], Tensor>(traced, { device, fixed: 1 });
  const readings: number[] = [];
  const four = [placed, placed, placed, placed];
  // The code of both parts is there from the first time on.
  for (const given of [...four, paramsOf(2), ...four, placed, paramsOf(2), ...four]) {
    await run(given, x);
    readings.push(used());
  }
  const [, , , laidOut, code] = readings;
  assertEquals(laidOut > code, true, `${readings}`);
  const again = [code, code, code, code, laidOut];
  assertEquals(readings.slice(3), [laidOut, ...again, laidOut, ...again]);
  assertEquals([...host(run.sync(placed, x)).data], [...host(await run(placed, x)).data]);
  placed.kernel[Symbol.dispose]();
  assertThrows(() => run.sync(placed, x), Error, "disposed");
  run[Symbol.dispose]();
  placed.bias[Symbol.dispose]();
  assertEquals(used() < code, true);
});

for (const device of devices) {
  Deno.test({
    name: `predict with weights that it lays out gives the same whichever variables come: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    async fn() {
      const layer = defineLayer({
        type: "turned",
        options: {},
        initParams: () => paramsOf(1),
        apply: ({ params, state }: Variables<Params>, x) => ({ output: compute(params, x as Tensor), state }),
      });
      const all = [1, 2, 3].map((seed): Variables => ({ params: paramsOf(seed), state: [] }));
      const rows = concat([x, x, x], { axis: 0 });
      const given = {
        "one after another": {
          batchSize: 6,
          order: [0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0, 0],
        },
        "one batch each": { batchSize: 1, order: [0, 0, 1] },
      };
      for (const [name, { order, batchSize }] of Object.entries(given)) {
        for (const at of order) {
          const { data } = host(await predict(layer, all[at], rows, { device, batchSize }));
          alone(all[at].params as unknown as Params, rows).forEach((value, i) =>
            assertEquals(Math.abs(value - data[i]) < 1e-6, true, `${name}: ${data[i]} instead of ${value}`)
          );
        }
      }
    },
  });
}

Deno.test("run of an imported model that lays out weights gives the same whichever variables come", async () => {
  const kernels = [signed([3, 6], 1), signed([3, 6], 2)];
  const files = kernels.map((kernel) =>
    fromOnnx(fileOf({
      nodes: [
        node("Transpose", ["kernel"], ["turned"], { perm: [1, 0] }),
        node("Concat", ["turned", "turned"], ["wide"], { axis: 1 }),
        node("MatMul", ["x", "wide"], ["y"]),
      ],
      inputs: { x },
      weights: { kernel },
      outputs: { y: "float32" },
    }))
  );
  const turned = (kernel: HostTensor) => transpose(kernel);
  const [{ run }] = files;
  for (const device of ["wasm", "reference"] as const) {
    for (const at of [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 1]) {
      const { variables } = files[at];
      const { y } = await run({ x }, { device, variables });
      const expected = host(matmul(x, concat([turned(kernels[at]), turned(kernels[at])], { axis: 1 })));
      expected.data.forEach((value, i) =>
        assertEquals(Math.abs(value - y.data[i]) < 1e-5, true, `${y.data[i]} instead of ${value}`)
      );
    }
  }
});
