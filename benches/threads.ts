/**
 * What it costs to run a kernel on several threads: an empty call back to back and after idleness, and the barrier.
 *
 * ```sh
 * deno run benches/threads.ts
 * ```
 */
import { i32, ModuleBuilder } from "../kernels/wasm/assembler.ts";
import { addBarrier } from "../kernels/wasm/barrier.ts";
import { createPool } from "../kernels/wasm/threads.ts";

const ROUNDS = 1000;

/** A module whose `run(thread, threads, barrierAddress, rounds)` meets at the barrier so many times. */
function barriers(): WebAssembly.Module {
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: true });
  const barrier = addBarrier(module);
  const run = module.addFunction("run", [i32, i32, i32, i32]);
  const round = run.local(i32);
  run.count(round, { local: 3 }, 1, () => run.get(2).get(1).call(barrier));
  module.export(run);
  return new WebAssembly.Module(module.encode());
}

/** Microseconds of `times` calls of `work`, sorted; `before` runs before each. */
async function measure(times: number, work: () => void, before?: () => Promise<void>): Promise<number[]> {
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    if (before) await before();
    const start = performance.now();
    work();
    taken.push(1000 * (performance.now() - start));
  }
  return taken.sort((a, b) => a - b);
}

function report(name: string, taken: readonly number[], per = 1): void {
  const at = (part: number) => (taken[Math.floor(part * (taken.length - 1))] / per).toFixed(2).padStart(9);
  console.log(`${name.padEnd(34)}${at(0)}${at(0.5)}${at(0.9)}`);
}

const threadCounts = [1, 2];
console.log(`${"microseconds".padEnd(34)}  minimum   median   90 %`);
for (const threads of threadCounts) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  using pool = await createPool({ threads, memory, controlAddress: 0 });
  const id = await pool.load(barriers());
  const address = pool.barrierAddress;
  const empty = () => pool.run(id, [address, 0]);
  await measure(20_000, empty);
  report(`empty call, ${threads} threads, back to back`, await measure(20_000, empty));
  const idle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
  report(`empty call, ${threads} threads, after idleness`, await measure(200, empty, idle));
  const meet = () => pool.run(id, [address, ROUNDS]);
  await measure(100, meet);
  report(`barrier, ${threads} threads`, await measure(300, meet), ROUNDS);
}
