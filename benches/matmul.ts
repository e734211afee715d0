/**
 * The speed of the wasm matrix products by shape, compared with the ceiling of 128-bit multiply-adds measured
 * in the same run: `deno run benches/matmul.ts [part of a name] [--plain] [--wide] [--cpu]`. One thread. The machine
 * may be shared: look at the best times, and for products of many milliseconds use `--cpu`, which measures
 * the CPU time of the process.
 */
import nodeProcess from "node:process";
import { type FunctionBuilder, hasRelaxedSimd, i32, ModuleBuilder, v128 } from "../kernels/wasm/assembler.ts";
import { KernelCode } from "../kernels/wasm/emit/code.ts";
import { Slots } from "../kernels/cpu/slots.ts";
import {
  addMatmul,
  longProductScratch,
  type MatmulFunctions,
  packedBytes,
  writeLongProduct,
} from "../kernels/wasm/matmul/mod.ts";

type Emitted = (...params: number[]) => void;

/**
 * A product and the layout of its left operand; or, with `right`, the packing of a right operand of that
 * layout.
 */
interface Shape {
  readonly name: string;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly left: "rows" | "transposed" | "strided";
  readonly right?: "rows" | "columns";
}

const SHAPES: readonly Shape[] = [
  { name: "recurrent step", m: 64, k: 64, n: 256, left: "rows" },
  { name: "recurrent step, half the batch", m: 32, k: 64, n: 256, left: "rows" },
  { name: "inputs of all steps", m: 1792, k: 28, n: 256, left: "rows" },
  { name: "gradient of the state", m: 64, k: 256, n: 64, left: "rows" },
  { name: "gradient of a recurrent kernel", m: 64, k: 1792, n: 256, left: "transposed" },
  { name: "gradient of an input kernel", m: 28, k: 1792, n: 256, left: "transposed" },
  { name: "both of them", m: 92, k: 1792, n: 256, left: "transposed" },
  { name: "recurrent step, 256 units", m: 64, k: 256, n: 1024, left: "rows" },
  { name: "inputs, 256 units", m: 1600, k: 128, n: 1024, left: "rows" },
  { name: "gradient of the state, 256 units", m: 64, k: 1024, n: 256, left: "rows" },
  { name: "gradient of a kernel, 256 units", m: 256, k: 6400, n: 1024, left: "transposed" },
  { name: "one row", m: 1, k: 64, n: 256, left: "rows" },
  { name: "two rows", m: 2, k: 64, n: 256, left: "rows" },
  { name: "three rows", m: 3, k: 64, n: 256, left: "rows" },
  { name: "four rows", m: 4, k: 64, n: 256, left: "rows" },
  { name: "seven rows", m: 7, k: 64, n: 256, left: "rows" },
  { name: "any strides", m: 64, k: 64, n: 256, left: "strided" },
  { name: "logits", m: 64, k: 64, n: 10, left: "rows" },
  { name: "packing rows", m: 0, k: 64, n: 256, left: "rows", right: "rows" },
  { name: "packing columns", m: 0, k: 64, n: 256, left: "rows", right: "columns" },
];

const PAGES = 1024;
const CEILING_SUMS = 12;
const CEILING_TURNS = 20_000;

/** Adds a loop of independent multiply-adds in registers. */
function addCeiling(module: ModuleBuilder, relaxed: boolean): FunctionBuilder {
  const ceiling = module.addFunction("ceiling", [i32]);
  const [turn, address] = [ceiling.local(i32), 0];
  const factor = ceiling.local(v128);
  const sums = Array.from({ length: CEILING_SUMS }, () => ceiling.local(v128));
  ceiling.get(address).memory("v128.load").set(factor);
  ceiling.count(turn, CEILING_TURNS, 1, () => {
    for (const sum of sums) {
      ceiling.get(factor).get(factor);
      if (relaxed) ceiling.get(sum).op("f32x4.relaxed_madd").set(sum);
      else ceiling.op("f32x4.mul").get(sum).op("f32x4.add").set(sum);
    }
  });
  for (const sum of sums) ceiling.get(address).get(sum).memory("v128.store");
  return ceiling;
}

/** The current time in milliseconds. */
function now(): number {
  if (!Deno.args.includes("--cpu")) return performance.now();
  const { user, system } = nodeProcess.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Median and minimum milliseconds of one call: samples of about half a millisecond or one call, after a
 * warm-up.
 */
function measure(call: () => void): { readonly median: number; readonly best: number } {
  const time = (calls: number) => {
    const start = now();
    for (let i = 0; i < calls; i++) call();
    return (now() - start) / calls;
  };
  const warmUntil = performance.now() + 150;
  let calls = 1;
  while (performance.now() < warmUntil) if (time(calls) * calls < 0.5) calls *= 2;
  const samples: number[] = [];
  const until = performance.now() + 1500;
  while (samples.length < 20 || (samples.length < 300 && performance.now() < until)) {
    samples.push(time(calls));
  }
  samples.sort((a, b) => a - b);
  return { median: samples[samples.length >> 1], best: samples[0] };
}

/** A function `(a, b, c, columns, terms, scratch)` for a product with a transposed left operand. */
function addLong(
  module: ModuleBuilder,
  functions: MatmulFunctions,
  { name, m, k, n }: Shape,
): FunctionBuilder {
  const long = KernelCode.add(module, new Slots(0, 0), name, Array(6).fill(i32));
  const [a, b, c, columns, terms, scratch] = long.params.keys();
  writeLongProduct(long, functions, {
    lefts: [{ rows: m, source: { address: a, stride: m } }],
    results: [{ rows: m, address: c, stride: n }],
    right: { address: b, stride: n },
    columns,
    terms,
    most: { terms: k, columns: n },
    scratch,
  });
  return long;
}

function main(): void {
  const relaxed = hasRelaxedSimd() && !Deno.args.includes("--plain");
  const module = new ModuleBuilder({ minimum: PAGES, maximum: PAGES, shared: true });
  const functions = addMatmul(module, { relaxed, wide: Deno.args.includes("--wide") });
  for (const name of ["pack", "product"] as const) module.export(functions[name], name);
  for (const shape of SHAPES) {
    if (shape.left === "transposed") module.export(addLong(module, functions, shape));
  }
  module.export(addCeiling(module, relaxed), "ceiling");
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const bytes = module.encode();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  // The type of an export covers every kind of value; these are functions of i32.
  const emitted = (name: string) => instance.exports[name] as Emitted;
  const [ceiling, pack, product] = ["ceiling", "pack", "product"].map(emitted);
  new Float32Array(memory.buffer).forEach((_, index, all) => all[index] = Math.sin(index));

  const limit = 8 * CEILING_SUMS * CEILING_TURNS / measure(() => ceiling(0)).best / 1e6;
  const code = module.functions.reduce((sum, { code }) => sum + code.length, 0);
  console.log(`${module.functions.length} functions, ${code} bytes of code`);
  console.log(
    `ceiling of 128-bit multiply-adds: ${limit.toFixed(1)} GFLOP/s (${relaxed ? "relaxed" : "plain"})`,
  );
  const only = Deno.args.find((arg) => !arg.startsWith("--"));
  for (const { name, m, k, n, left, right } of SHAPES) {
    if (only && !name.includes(only)) continue;
    const a = 4096;
    const b = a + 4 * m * k + 4096;
    const c = b + 4 * k * n + 4096;
    const packed = c + 4 * m * n + 4096;
    if (packed + packedBytes(k, n) + longProductScratch(m, n, k) > PAGES << 16) {
      throw new Error("Too large");
    }
    const call = right
      ? () => pack(b, packed, k, n, ...(right === "rows" ? [4 * n, 4] : [4, 4 * k]))
      : left === "rows"
      ? () => product(a, 4 * k, 4, packed, c, 4 * n, m, n, k, 0, 0, 0)
      : left === "strided"
      ? () => product(a, 4, 4 * m, packed, c, 4 * n, m, n, k, 0, 0, 0)
      : () => emitted(name)(a, b, c, n, k, packed);
    pack(b, packed, k, n, 4 * n, 4);
    const { median, best } = measure(call);
    const shape = `${m}x${k}x${n}${left === "transposed" ? " Aᵀ" : ""}`;
    const speed = (milliseconds: number) => (2 * m * k * n / milliseconds / 1e6);
    const rate = right
      ? `${(8 * k * n / best / 1e6).toFixed(1)} GB/s`
      : `${speed(best).toFixed(1)} best, ${speed(median).toFixed(1)} median GFLOP/s, ${
        (100 * speed(best) / limit).toFixed(0)
      } %`;
    console.log(`${name.padEnd(34)}${shape.padEnd(20)}${(best * 1000).toFixed(1).padStart(9)} µs  ${rate}`);
  }
}

main();
