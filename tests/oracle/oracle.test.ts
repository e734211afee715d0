import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { native } from "../../kernels/native/mod.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import type { NativeChoice, WasmChoice } from "../../src/transforms/devices.ts";
import { allExamples, exampleCount, fewExamples } from "../support/examples.ts";
import { compareNumber, compareTensor } from "./compare.ts";
import { groupNames, mayReadCases, readGroup } from "./files.ts";
import { type OracleTensor, parseOracle } from "./format.ts";
import { caseLines, groupLine } from "./report.ts";
import { isHit, runCase } from "./run.ts";

/** The groups of the oracle. */
const groups = [
  "attention_decoders",
  "bidirectional",
  "cells",
  "conv_lstm",
  "gru",
  "losses_layers",
  "lstm",
  "onnx",
  "plain_layers",
  "regularizers",
  "seq2seq",
  "sequences",
  "simple_rnn",
  "stateful",
  "torch",
  "training",
  "training_more",
];

/** Every way to run: two threads share all work, as most of the cases are too small to be shared otherwise. */
const devices: readonly ("reference" | "webgpu" | WasmChoice | NativeChoice)[] = [
  ...[true, false].filter((relaxed) => !relaxed || hasRelaxedSimd()).flatMap((relaxed): WasmChoice[] => [
    { name: "wasm", threads: 2, relaxed, shareFrom: 0 },
    { name: "wasm", threads: 1, relaxed },
  ]),
  { name: "native", threads: 2, shareFrom: 0 },
  { name: "native", threads: 1 },
  "reference",
  "webgpu",
];

/**
 * All cases, or with few examples every fifth. In CI the ways of wasm after the first, which differ in few instructions,
 * have every sixth, from one that is drawn; so has webgpu, whose adapter there takes most of a test to compile, and every
 * tenth native, whose compiler does, and which CI runs with two of them.
 */
function someOf<Case>(cases: readonly Case[], device: (typeof devices)[number]): readonly Case[] {
  const isVariant = typeof device === "object" && device.name === "wasm" && device !== devices[0];
  const isNative = typeof device === "object" && device.name === "native";
  const cut = isNative ? 10 : isVariant || device === "webgpu" ? 6 : 1;
  const each = fewExamples ? 5 : allExamples ? 1 : cut;
  const first = fewExamples ? 0 : Math.floor(Math.random() * each);
  return cases.filter((_, index) => index % each === first);
}

const noWebGpu = !await webgpu.available(), noNative = !await native.available();

for (const device of devices.slice(0, exampleCount(devices.length))) {
  const on = typeof device === "string"
    ? device
    : device.name === "native"
    ? `native, ${device.threads} threads`
    : `wasm, ${device.threads} threads, ${device.relaxed ? "relaxed" : "plain"} SIMD`;
  const isMissing = device === "webgpu" ? noWebGpu : on.startsWith("native") && noNative;
  for (const group of groups) {
    Deno.test({
      name: `the oracle's cases of ${group} on ${on}`,
      ignore: !mayReadCases || isMissing,
      // The workers of a device outlive a test.
      sanitizeResources: false,
      sanitizeOps: false,
      async fn() {
        const file = parseOracle(await readGroup(group), `${group}.json`);
        const outcomes = [];
        for (const oracleCase of someOf(file.cases, device)) outcomes.push(await runCase(oracleCase, device));
        const misses = outcomes.filter((outcome) => !outcome.oracleCase.quirk && !isHit(outcome));
        assert(misses.length === 0, [groupLine(group, outcomes), ...caseLines(group, misses)].join("\n"));
      },
    });
  }
}

Deno.test({
  name: "every file of cases is a group that is run",
  ignore: !mayReadCases,
  fn: () => assertEquals(groupNames(), groups),
});

const expected: OracleTensor = { shape: [2, 2], dtype: "float32", data: [100, 0, -50, 1] };

function compare(values: number[], shape = [2, 2], tolerance = 1e-5) {
  return compareTensor("output", tensor(values, { shape }), expected, tolerance);
}

Deno.test("a value is right within the tolerance of the largest magnitude expected", () => {
  assert(compare([100, 0, -50, 1]).passed);
  assertEquals(compare([100, 0, -50, 1]).relative, 0);
  const near = compare([100, 9e-4, -50, 1]);
  assert(near.passed);
  assert(near.relative > 8.9e-6 && near.relative < 9.1e-6);
  const far = compare([100, 1.1e-3, -50, 1]);
  assert(!far.passed);
  assertMatch(String(far.reason), /^element 1 is 0.001\d+, expected 0: error 1e-3, tolerance 1e-3$/);
});

Deno.test("differences up to the floor are right however small the expected values are", () => {
  const zeros: OracleTensor = { shape: [1], dtype: "float32", data: [0] };
  const at = (value: number) => compareTensor("x", tensor([value]), zeros, 1e-5);
  assert(at(9e-7).passed);
  assert(!at(1.1e-6).passed);
  assert(at(1.1e-6).relative > 1e-5);
});

Deno.test("another shape or dtype, NaN and a tensor that is not there are misses", () => {
  assert(!compare([100, 0, -50, 1], [4]).passed);
  assertStringIncludes(String(compare([100, 0, -50, 1], [4]).reason), "shape is [4], expected [2,2]");
  assert(!compare([100, NaN, -50, 1]).passed);
  assert(!compareTensor("x", undefined, expected, 1e-5).passed);
  const whole = tensor([100, 0, -50, 1], { shape: [2, 2], dtype: "int32" });
  assertStringIncludes(String(compareTensor("x", whole, expected, 1e-5).reason), "dtype is int32");
  assert(!compareNumber("x", NaN, 1, 1e-5).passed);
  assert(!compareNumber("x", undefined, 1, 1e-5).passed);
  assert(!compareNumber("x", Infinity, 1, 1e-5).passed);
});

Deno.test("NaN where NaN is expected is a miss too", () => {
  const bad: OracleTensor = { shape: [1], dtype: "float32", data: [NaN] };
  assert(!compareTensor("x", tensor([NaN]), bad, 1e-5).passed);
});

Deno.test("whole numbers and booleans must be equal", () => {
  const mask: OracleTensor = { shape: [2], dtype: "bool", data: [1, 0] };
  assert(compareTensor("mask", tensor([true, false]), mask, 1e-5).passed);
  assert(!compareTensor("mask", tensor([true, true]), mask, 1e-5).passed);
  const large: OracleTensor = { shape: [1], dtype: "int64", data: [1000000] };
  assert(compareTensor("x", tensor([1000000], { dtype: "int32" }), large, 1e-5).passed);
  assert(!compareTensor("x", tensor([1000001], { dtype: "int32" }), large, 1e-5).passed);
});

/** A file with a dense layer of known weights: `2 x + 1`, whose output for 3 is said to be `output`. */
function denseFile(...outputs: number[]): string {
  const scalar = (value: number, shape: number[]) => ({ shape, dtype: "float32", data: [value] });
  const cases = outputs.map((output, index) => ({
    name: `case_${index}`,
    layer: "Dense",
    config: { units: 1, activation: "linear", use_bias: true },
    inputs: { x: scalar(3, [1, 1]) },
    weights: { kernel: scalar(2, [1, 1]), bias: scalar(1, [1]) },
    outputs: { output: scalar(output, [1, 1]) },
    cotangents: { output: scalar(1, [1, 1]) },
    grads: { kernel: scalar(3, [1, 1]) },
  }));
  return JSON.stringify({ format: "rnn-oracle/1", group: "dense", cases });
}

Deno.test("a malformed file is refused with the file and the place", () => {
  const reason = (text: string) => assertThrows(() => parseOracle(text, "bad.json"), SyntaxError).message;
  assertStringIncludes(reason("{"), "Cannot read bad.json: it is no JSON");
  assertStringIncludes(reason(`{"format":"other"}`), `its format is "other"`);
  const short = denseFile(7).replace(
    `"shape":[1],"dtype":"float32","data":[1]`,
    `"shape":[2],"dtype":"float32","data":[1]`,
  );
  assertStringIncludes(
    reason(short),
    `bad.json: case 0 "case_0".weights.bias: its data has 1 elements, its shape [2] has 2`,
  );
  assertStringIncludes(reason(denseFile(7).replace(`"layer":"Dense",`, "")), "layer is absent");
});

Deno.test("a case with an option or a layer that we do not have is a miss that says so", async () => {
  const run = (text: string) => runCase(parseOracle(text, "a.json").cases[0], "reference");
  const option = await run(denseFile(7).replace("use_bias", "use_bais"));
  assertStringIncludes(String(option.failure), `did you mean "useBias"?`);
  const layer = await run(denseFile(7).replace("Dense", "Capsule"));
  assertStringIncludes(String(layer.failure), "there is no layer for Capsule");
  assert(!isHit(option) && !isHit(layer));
});

const cannotSpawn = ["run", "read", "write"].some((name) =>
  Deno.permissions.querySync({ name: name as "run" | "read" | "write" }).state !== "granted" // of the list
);

Deno.test({
  name:
    "the command prints a line per group, names misses, shows quirks, and its exit status says whether all is right",
  ignore: cannotSpawn,
  async fn() {
    const directory = await Deno.makeTempDir();
    const run = async (...args: string[]) => {
      const main = new URL("main.ts", import.meta.url);
      const config = new URL("../../deno.json", import.meta.url);
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--allow-read", `--config=${config.pathname}`, main.pathname, directory, ...args],
        env: { NO_COLOR: "1" },
      }).output();
      const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, out, error };
    };
    try {
      await Deno.writeTextFile(`${directory}/dense.json`, denseFile(7, 7.001));
      const wrong = await run();
      assertEquals(wrong.code, 1);
      assertMatch(wrong.out, /^dense: 1\/2, worst relative error 1e-4$/m);
      assertMatch(wrong.out, /miss: dense case_1: 1 of 2 tensors differ/);
      assertMatch(wrong.out, /outputs output: element 0 is 7, expected 7.001: error 1e-3, tolerance 7e-5/);

      const quirk = denseFile(7, 7.001).replace(`"name":"case_1"`, `"quirk":true,"name":"case_1"`);
      await Deno.writeTextFile(`${directory}/dense.json`, quirk);
      const right = await run("--backend", "reference", "--group", "dense");
      assertEquals(right.code, 0);
      assertMatch(right.out, /^dense: 1\/1, worst relative error 0$/m);
      assertMatch(right.out, /quirk: dense case_1: 1 of 2 tensors differ/);

      const threaded = await run("--backend", "wasm", "--threads", "2", "--plain", "--share");
      assertEquals(threaded.code, 0, threaded.error);
      assertMatch(threaded.out, /^dense: 1\/1, worst/m);
      const refused = await run("--threads", "2");
      assertEquals(refused.code, 2);
      assertStringIncludes(refused.error, "are options of --backend wasm");

      const zipped = new Blob([denseFile(7)]).stream().pipeThrough(new CompressionStream("gzip"));
      await Deno.writeFile(`${directory}/zipped.json.gz`, zipped);
      const both = await run();
      assertEquals(both.code, 0, both.error);
      assertEquals(both.out.match(/^dense: 1\/1/gm)?.length, 2);

      await Deno.writeTextFile(`${directory}/dense.json`, "{}");
      const malformed = await run();
      assertEquals(malformed.code, 2);
      assertStringIncludes(malformed.error, "Cannot read dense.json: its format is absent");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
