/** What the device `auto` means. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  compile,
  convLstm2d,
  grad,
  lstm,
  matmul,
  spec,
  square,
  sum,
  type Tensor,
  tensor,
  type Variables,
} from "../../mod.ts";
import { type Backend, DeviceUnavailable } from "../../kernels/backend.ts";
import { checkDevice, type Choice, type Device, devicesAmong, devicesFor } from "../../kernels/mod.ts";
import { native } from "../../kernels/native/mod.ts";
import { chooseBackend, multiplyAdds } from "../../kernels/choose.ts";
import type { Program } from "../../src/program/types.ts";

function backend(name: string, options: Partial<Backend> = {}): Backend {
  const fail = () => {
    throw new Error("not to be called");
  };
  return {
    name,
    supports: () => true,
    available: fail,
    missing: fail,
    compile: fail,
    upload: fail,
    ...options,
  };
}

const wasm = backend("wasm"),
  gpu = backend("webgpu", { hasGpu: () => Promise.resolve(true) }),
  reference = backend("reference");

function productOf(n: number): Program {
  using compiled = compile((a: Tensor, b: Tensor) => matmul(a, b));
  return compiled.program(spec([n, n]), spec([n, n]));
}

const zeros = (n: number) => tensor(new Float32Array(n * n), { shape: [n, n] });

Deno.test("a graphics processor is chosen for large Programs only", async () => {
  const choose = async (candidates: Backend[], n: number) =>
    await chooseBackend(candidates, await productOf(n), [zeros(n), zeros(n)]);
  const large = await choose([wasm, gpu, reference], 1024);
  assertEquals(large.backend, gpu);
  assertStringIncludes(large.why, "multiply-adds a call");
  assertEquals((await choose([wasm, gpu, reference], 64)).backend, wasm);
  // An adapter that computes on the processor never wins.
  const software = backend("webgpu", { hasGpu: () => Promise.resolve(false) });
  assertEquals(await choose([wasm, software, reference], 1024), {
    backend: wasm,
    why: "there is no graphics processor",
  });
});

Deno.test("arguments on a device decide, then what the Program needs", async () => {
  const program = await productOf(4);
  const onGpu = { ...zeros(4), kind: "device", device: "webgpu" } as unknown as Tensor;
  assertEquals((await chooseBackend([wasm, gpu, reference], program, [onGpu, zeros(4)])).backend, gpu);
  const unable = backend("wasm", { supports: () => false });
  assertEquals((await chooseBackend([unable, reference], program, [zeros(4), zeros(4)])).backend, reference);
  // One that was asked for by name says itself why it cannot.
  assertEquals((await chooseBackend([unable], program, [zeros(4), zeros(4)])).backend, unable);
});

Deno.test("the multiply-adds of a scan are those of all its steps", () => {
  const layer = lstm({ units: 8 });
  const x = spec([2, 30, 4]);
  const params = layer.initParams({ ...tensor([0, 1], { dtype: "int32" }) }, x);
  using compiled = compile((variables: Variables, x: Tensor) =>
    layer.apply(variables, x, { training: false }).output
  );
  const program = compiled.program({ params, state: [] }, x);
  assertEquals(multiplyAdds(program, {}), 30 * 2 * 32 * (4 + 8));
});

Deno.test("the multiply-adds of a product are the same however its operands lie", () => {
  const [m, k, n] = [6, 640, 10];
  for (const transposeLeft of [false, true]) {
    for (const transposeRight of [false, true]) {
      using compiled = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeLeft, transposeRight }));
      const left = transposeLeft ? [k, m] : [m, k], right = transposeRight ? [n, k] : [k, n];
      assertEquals(multiplyAdds(compiled.program(spec(left), spec(right)), {}), m * k * n);
    }
  }
});

Deno.test("a train step counts the gradients of its products too, in scans and convolutions", () => {
  // Each product of the forward pass has two in the backward pass: for the gradients of both operands.
  using dense = compile(grad((w: Tensor, x: Tensor) => sum(square(matmul(x, w)))));
  const [b, i, o] = [64, 48, 32];
  assertEquals(multiplyAdds(dense.program(spec([i, o]), spec([b, i])), {}), 2 * b * i * o);

  const layer = lstm({ units: 8 });
  const x = spec([16, 30, 4]);
  const params = layer.initParams({ ...tensor([0, 1], { dtype: "int32" }) }, x);
  using step = compile(
    grad((params: Variables["params"], x: Tensor) =>
      sum(square(layer.apply({ params, state: [] }, x, { training: true }).output))
    ),
  );
  const products = { input: 30 * 16 * 4 * 32, recurrent: 30 * 16 * 8 * 32 };
  // The input has no gradient, so that its product has one less; the first step's recurrent one may be left out.
  const least = 2 * products.input + 3 * products.recurrent * 28 / 30;
  const count = multiplyAdds(step.program(params, x), {});
  assert(count >= least && count <= 3 * (products.input + products.recurrent), `${count}`);

  const convolution = convLstm2d({ filters: 4, kernelSize: 3, padding: "same" });
  const images = spec([2, 5, 9, 9, 3]);
  const kernels = convolution.initParams({ ...tensor([0, 1], { dtype: "int32" }) }, images);
  using forward = compile((variables: Variables, x: Tensor) =>
    convolution.apply(variables, x, { training: false }).output
  );
  const each = 2 * 81 * 9 * 16; // rows, places, terms of a window, gates times filters
  assertEquals(multiplyAdds(forward.program({ params: kernels, state: [] }, images), {}), 5 * each * (3 + 4));
});

Deno.test("auto gives way where a device cannot be opened, and a named one says why", async () => {
  const broken = backend("webgpu", {
    hasGpu: () => Promise.resolve(true),
    compile: () => Promise.reject(new DeviceUnavailable("webgpu", "its adapter gives none")),
  });
  const works = backend("wasm");
  const program = await productOf(1024), inputs = [zeros(1024), zeros(1024)];
  const devices = devicesAmong([broken, works, reference], []);
  const asked: string[] = [];
  const warnings: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => void warnings.push(text);
  try {
    const compileOn = async ({ backend, why }: Choice) => {
      asked.push(backend.name);
      if (backend === broken) await backend.compile(program, { donate: [], keep: [] });
      return why;
    };
    const why = await devices.choose(program, inputs, compileOn);
    assertStringIncludes(why, "webgpu cannot run here: its adapter gives none");
    await devices.choose(program, inputs, compileOn);
  } finally {
    console.warn = warn;
  }
  assertEquals(asked, ["webgpu", "wasm", "wasm"]);
  assertEquals(warnings.length, 1);
  await assertRejects(
    () =>
      devicesAmong([broken], []).choose(
        program,
        inputs,
        ({ backend }) => backend.compile(program, { donate: [], keep: [] }),
      ),
    RangeError,
    "its adapter gives none",
  );
  // Other errors are nobody else's.
  await assertRejects(
    () => devices.choose(program, inputs, () => Promise.reject(new TypeError("a bug"))),
    TypeError,
    "a bug",
  );
});

const canSpawn = (await Deno.permissions.query({ name: "run" })).state === "granted";

Deno.test({
  name:
    "where there is no WebAssembly, auto says so once, not in production, and a named device says what is missing",
  // In a process of its own, where nobody has looked for it before.
  ignore: !canSpawn,
  async fn() {
    const program = `Reflect.deleteProperty(globalThis, "WebAssembly");
      const { compile, mul } = await import(${JSON.stringify(import.meta.resolve("../../mod.ts"))});
      const x = { kind: "host", shape: [2], dtype: "float32", data: Float32Array.of(1, 2) };
      for (let time = 0; time < 2; time++) {
        const f = compile((x) => mul(x, x));
        await f(x);
        console.log(f.device, f.explain().includes("wasm cannot run here: the engine has no WebAssembly"));
      }
      for (const device of ["wasm", { name: "wasm", threads: 1 }]) {
        await compile((x) => x, { device })(x).catch(({ name, message }) => console.log(name, message));
      }`;
    const file = await Deno.makeTempFile({ suffix: ".mts" });
    await Deno.writeTextFile(file, program);
    const lines = "reference true\n".repeat(2) +
      "RangeError Cannot use the device wasm: the engine has no WebAssembly\n".repeat(2);
    for (
      const [permissions, environment, warnings] of [
        [[], "development", 1],
        [[], "production", 1], // which it may not know, and does not ask for
        [["--allow-env"], "production", 0],
        [["--allow-env=NODE_ENV"], "development", 1],
      ] as const
    ) {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-check", ...permissions, file],
        env: { NODE_ENV: environment, NO_COLOR: "1" },
      }).output();
      const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assertEquals(out, lines, errors);
      assertEquals(errors.match(/Cellfold: wasm cannot run here/g)?.length ?? 0, warnings, errors);
    }
    await Deno.remove(file);
  },
});

Deno.test("explain tells the device and why", async () => {
  using named = compile((a: Tensor) => matmul(a, a), { device: "wasm" });
  await named(zeros(2));
  assertStringIncludes(named.explain(), "on wasm: as asked for");
  using automatic = compile((a: Tensor) => matmul(a, a));
  await automatic(zeros(2));
  assertStringIncludes(automatic.explain(), `on ${await native.available() ? "native" : "wasm"}: `);
});

Deno.test("a device that needs the user's leave is passed over in silence without it", async () => {
  const { backends } = await devicesFor("auto");
  assertEquals(backends.some(({ name }) => name === "native"), await native.available());
});

Deno.test("options are those of the device that is named: others are refused, with the nearest that it has", () => {
  const refused = (device: unknown, message: string) =>
    assertThrows(() => checkDevice(device as Device), RangeError, message);
  refused(
    { name: "wasm", thread: 2 },
    'option of the device wasm "thread": it is unknown; did you mean "threads"',
  );
  refused({ name: "wasm", schedule: "rows" }, 'option of the device wasm "schedule"');
  refused({ name: "webgpu", threads: 2 }, 'option of the device webgpu "threads"');
  refused({ name: "reference", threads: 2 }, 'option of the device reference "threads"');
  refused({ name: "native", relaxed: true }, 'option of the device native "relaxed"');
  refused({ name: "native", threads: 33 }, "33 threads: expected a whole number from 1 to 32");
  refused({ name: "wasm", threads: 0 }, "0 threads: expected a whole number from 1 to 32");
  refused({ name: "webgpu", schedule: "row" }, 'schedule of the device webgpu "row"');
  checkDevice({ name: "wasm", threads: 2, relaxed: false });
  checkDevice({ name: "webgpu", precision: "f16" });
});
