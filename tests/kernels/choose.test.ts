/** What the device `auto` means. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { compile, lstm, matmul, spec, type Tensor, tensor, type Variables } from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
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

async function productOf(n: number): Promise<Program> {
  using compiled = await compile((a: Tensor, b: Tensor) => matmul(a, b));
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

Deno.test("the multiply-adds of a scan are those of all its steps", async () => {
  const layer = lstm({ units: 8 });
  const x = spec([2, 30, 4]);
  const params = layer.initParams({ ...tensor([0, 1], { dtype: "int32" }) }, x);
  using compiled = await compile((variables: Variables, x: Tensor) =>
    layer.apply(variables, x, { training: false }).output
  );
  const program = compiled.program({ params, state: [] }, x);
  assertEquals(multiplyAdds(program, {}), 30 * 2 * 32 * (4 + 8));
});

Deno.test("explain tells the device and why", async () => {
  using named = await compile((a: Tensor) => matmul(a, a), { device: "wasm" });
  await named(zeros(2));
  assertStringIncludes(named.explain(), "on wasm: as asked for");
  using automatic = await compile((a: Tensor) => matmul(a, a));
  await automatic(zeros(2));
  assertStringIncludes(automatic.explain(), "on wasm: ");
});
