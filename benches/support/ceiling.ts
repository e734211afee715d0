/**
 * How many operations per second 128-bit multiply-adds in registers reach: an upper limit for every kernel
 * here.
 */
import { hasRelaxedSimd, i32, ModuleBuilder, v128 } from "../../kernels/wasm/assembler.ts";

/** Independent sums, enough to hide the latency of an addition; iterations of the loop. */
const SUMS = 12, TURNS = 20_000;

/** Operations per 128-bit multiply-add. */
const OPERATIONS = 8;

const REPEATS = 1000;

/** The total rate of this many threads running at once. */
export async function sharedCeiling(threads: number): Promise<number> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("./ceiling_worker.ts", import.meta.url), { type: "module" }),
  );
  const heard = (worker: Worker) =>
    new Promise<number | undefined>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<number | undefined>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  try {
    await Promise.all(workers.map(heard)); // all have started
    const speeds = workers.map(heard);
    for (const worker of workers) worker.postMessage("begin");
    return (await Promise.all(speeds)).reduce<number>((sum, speed) => sum + (speed ?? 0), 0);
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

/** GFLOP/s of the best of many short runs, fused if the engine has relaxed SIMD. */
export function multiplyAddCeiling(): number {
  const relaxed = hasRelaxedSimd();
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: true });
  const ceiling = module.addFunction("ceiling", [i32]);
  const [turn, address] = [ceiling.local(i32), 0];
  const factor = ceiling.local(v128);
  const sums = Array.from({ length: SUMS }, () => ceiling.local(v128));
  ceiling.get(address).memory("v128.load").set(factor);
  ceiling.count(turn, TURNS, 1, () => {
    for (const sum of sums) {
      ceiling.get(factor).get(factor);
      if (relaxed) ceiling.get(sum).op("f32x4.relaxed_madd").set(sum);
      else ceiling.op("f32x4.mul").get(sum).op("f32x4.add").set(sum);
    }
  });
  for (const sum of sums) ceiling.get(address).get(sum).memory("v128.store");
  module.export(ceiling);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  const run = exports.ceiling as (address: number) => void; // exported just above
  let best = Infinity;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now();
    run(0);
    best = Math.min(best, performance.now() - start);
  }
  return OPERATIONS * SUMS * TURNS / best / 1e6;
}
