/**
 * The cost of running a kernel on several threads: an empty call, back to back and after idleness, and a
 * phase.
 *
 * ```sh
 * deno run benches/threads.ts
 * ```
 */
import { i32, ModuleBuilder } from "../kernels/wasm/assembler.ts";
import { addPhases } from "../kernels/wasm/phases.ts";
import { createPool } from "../kernels/wasm/threads.ts";

const ROUNDS = 1000;

/** A module whose `run` has this many phases without any work. */
function empty(phases: number, shares: number): WebAssembly.Module {
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: true });
  const phasesOf = addPhases(module, { address: 0, shares });
  const run = module.addFunction("run", [i32, i32, i32], [i32]);
  const { phase } = phasesOf(run);
  for (let index = 0; index < phases; index++) phase("shared", () => {});
  run.i32(0);
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

const threads = 2;
console.log(`${"microseconds".padEnd(34)}  minimum   median   90 %`);
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
using pool = createPool({ threads, memory, controlAddress: 0, crewOf: () => ({ threads, took: () => {} }) });
const id = await pool.load(empty(1, threads)), many = await pool.load(empty(ROUNDS, threads));
const idle = (milliseconds: number) => () =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
await idle(500)(); // workers start
const call = () => pool.run(id, []);
await measure(20_000, call);
report(`empty call, ${threads} threads, back to back`, await measure(20_000, call));
report(`empty call, ${threads} threads, dozing`, await measure(200, call, idle(5)));
report(`empty call, ${threads} threads, idle`, await measure(50, call, idle(80)));
const meet = () => pool.run(many, []);
await measure(100, meet);
report(`phase, ${threads} threads`, await measure(300, meet), ROUNDS);
