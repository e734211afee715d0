/** `explanation` is what `explain` prints, as data; on wasm with `profile` its kernels have times. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  add,
  compile,
  explain,
  explanation,
  key,
  matmul,
  normal,
  printProgram,
  scan,
  spec,
  sum,
  tanh,
  type Tensor,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import type { KernelReport } from "../../src/internal.ts";

const [kernel, recurrent] = [normal(key(1), [3, 8]), normal(key(2), [8, 8])];
const step = (w: Tensor, x: Tensor) =>
  scan(
    (h: Tensor, at: Tensor): [Tensor, Tensor] => {
      const next = tanh(add(matmul(at, kernel), matmul(h, w)));
      return [next, next];
    },
    zeros([2, 8]),
    x,
  );
const trained = valueAndGrad((w: Tensor, x: Tensor) => sum(step(w, x)[1]));
const x = normal(key(3), [2, 5, 3]);

const flat = (kernels: readonly KernelReport[]): KernelReport[] =>
  kernels.flatMap((each) => [each, ...flat(each.body)]);

Deno.test("explanation has the passes and Programs that explain prints", () => {
  using compiled = compile(trained, { device: "reference" });
  const given = [spec([8, 8]), spec([2, 5, 3])];
  const { device, traced, passes, kernels, beforeDerivatives } = explanation(compiled, ...given);
  assertEquals([device, kernels], [undefined, []]);
  const text = explain(compiled, ...given);
  assert(text.includes(`as traced\n${printProgram(traced)}`));
  for (const { name, changed, notes, program } of passes) {
    assert(text.includes(`after ${name}${changed ? "\n" : ": no change"}`), name);
    if (changed) assert(text.includes(printProgram(program)), name);
    for (const { text: note } of notes) assert(text.includes(`  ${note}`), note);
  }
  for (const { text: note } of beforeDerivatives) assert(text.includes(`  ${note}`), note);
  const said = [...beforeDerivatives, ...passes.flatMap(({ notes }) => notes)].map(({ text }) => text);
  assert(
    said.includes("hoisted matmul float32[2, 8] out of a scan, for all 5 steps at once"),
    said.join("\n"),
  );
  assert(said.includes("sank the sum over 5 steps of float32[8, 8] out of a scan"), said.join("\n"));
  assertEquals(printProgram(passes[passes.length - 1].program), printProgram(compiled.program(...given)));
});

Deno.test("explanation needs a call or specs, and what compile gives", async () => {
  using compiled = compile(tanh, { device: "reference" });
  assertThrows(() => explanation(compiled), Error, "Cannot explain: nothing was compiled yet");
  await compiled(zeros([2]));
  assertEquals(explanation(compiled).device?.name, "reference");
  assertThrows(() => explanation(tanh as unknown as typeof compiled), TypeError, "Cannot explain");
});

Deno.test("explanation on wasm lists kernels with how often they run, without times unless asked", async () => {
  using compiled = compile(trained, { device: "wasm" });
  await compiled(recurrent, x);
  const { kernels, measuredCalls } = explanation(compiled);
  assertEquals(measuredCalls, undefined);
  const scans = kernels.filter(({ kind }) => kind === "scan");
  assert(scans.length > 0);
  for (const { body, runs, work } of scans) {
    assertEquals([runs, work], [1, 0]);
    for (const inside of body) assertEquals(inside.runs, 5);
  }
  assert(flat(kernels).every(({ milliseconds }) => milliseconds === undefined));
  // The product of the state has 2 × 8 results of 8 terms, in each of 5 steps.
  const products = flat(scans).filter(({ kind }) => kind === "packedMatmul");
  assert(
    products.length > 0 && products.every(({ work }) => work >= 5 * 2 * 8 * 8),
    JSON.stringify(products),
  );
});

Deno.test("wasm: profile measures every kernel, within the time of the calls, and changes no result", async () => {
  const profiled = { name: "wasm", profile: true } as const;
  using compiled = compile(trained, { device: profiled });
  using plain = compile(trained, { device: { name: "wasm", threads: 1 } });
  assertEquals(await compiled(recurrent, x), await plain(recurrent, x));
  const began = performance.now();
  for (let call = 1; call < 200; call++) await compiled(recurrent, x);
  const took = performance.now() - began;
  const { measuredCalls, kernels } = explanation(compiled);
  assertEquals(measuredCalls, 200);
  const times = flat(kernels).map(({ milliseconds }) => milliseconds);
  assert(times.every((time) => time !== undefined && time >= 0), String(times));
  for (const { kind, milliseconds = 0 } of flat(kernels)) {
    if (kind !== "pack") assert(milliseconds > 0, kind); // what is packed once may be packed from the host
  }
  const total = times.reduce<number>((sum, time = 0) => sum + time, 0);
  assert(total < took + 50, `${total} of ${took} ms`); // the first call is not in `took`
});

Deno.test("wasm: profile refuses threads, which would run kernels beside each other", async () => {
  const device = { name: "wasm", profile: true, threads: 2 } as const;
  assertThrows(() => compile(tanh, { device }), RangeError, "kernels are measured on one thread");
  using single = compile(tanh, { device: { ...device, threads: 1 } });
  assertEquals((await single(zeros([2]))).shape, [2]);
  const odd = { name: "wasm", profile: 1 } as unknown as typeof device;
  await assertRejects(
    async () => await compile(tanh, { device: odd })(zeros([2])),
    TypeError,
    "profile is the number 1",
  );
});
