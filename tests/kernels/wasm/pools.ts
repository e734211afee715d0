/** Pools of threads, and tiny modules for them. */
import { assert } from "@std/assert";
import { type FunctionBuilder, i32, type Local, ModuleBuilder } from "../../../kernels/wasm/assembler.ts";
import { addPhases, type Phases, type PhasesOptions } from "../../../kernels/wasm/phases.ts";
import { createPool, type Pool } from "../../../kernels/wasm/threads.ts";

export const pages = { minimum: 2, maximum: 2, shared: true };
/** Kernels write behind the control block. */
export const data = 65536;
export const controlAddress = 64;

export const sharedMemory = () => new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });

/** A pool whose threads all take part in every call. */
export function poolOf(threads: number, memory = sharedMemory(), address = controlAddress) {
  const crewOf = () => ({ threads, took: () => {} });
  return createPool({ threads, memory, controlAddress: address, crewOf });
}

/** A module whose `run` has `params` beside those of its phases, which are locals 0 to 2. */
function encode(
  shares: number,
  params: number,
  write: (run: FunctionBuilder, phases: Phases) => void,
  options: Partial<PhasesOptions> = {},
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(pages);
  const phasesOf = addPhases(module, { address: controlAddress, shares, ...options });
  const run = module.addFunction("run", new Array<typeof i32>(3 + params).fill(i32), [i32]);
  write(run, phasesOf(run));
  run.i32(0);
  module.export(run);
  return module.encode();
}

export const moduleOf = (...description: Parameters<typeof encode>) =>
  new WebAssembly.Module(encode(...description));

/** Writes share `s`'s sum of the integers s, s + shares, ... below `end` (parameter 3) to `data + 4 s`. */
export const encodeSums = (shares: number) =>
  encode(shares, 1, (run, phases) => {
    const index = run.local(i32), sum = run.local(i32);
    phases.phase("shared", (share) => {
      run.i32(0).set(sum).get(share).set(index).block(() => {
        run.loop(() => {
          run.get(index).get(3).op("i32.ge_s").brIf(1);
          run.get(sum).get(index).op("i32.add").set(sum);
          run.get(index).i32(shares).op("i32.add").set(index).br(0);
        });
      });
      run.get(share).i32(4).op("i32.mul").get(sum).memory("i32.store", data);
    });
  });
export const sums = (shares: number) => new WebAssembly.Module(encodeSums(shares));

export const nothing = () => moduleOf(2, 0, (_run, phases) => phases.phase("shared", () => {}));

/** Writes to `data + 4 s` how often share `s` was computed, in so many phases one after the other. */
export const counting = (shares: number, rounds: number) =>
  moduleOf(shares, 0, (run, phases) => {
    for (let round = 0; round < rounds; round++) {
      phases.phase(round % 3 === 2 ? "single" : "shared", (share) => addTo(run, share, data));
    }
  });

export function addTo(run: FunctionBuilder, share: Local, address: number): void {
  run.get(share).i32(4).op("i32.mul").get(share).i32(4).op("i32.mul").memory("i32.load", address).i32(1)
    .op("i32.add").memory("i32.store", address);
}

/** Does something on one thread, whatever its share; the others compute theirs. */
export const onThread = (
  thread: number,
  act: (run: FunctionBuilder) => void,
  options?: Partial<PhasesOptions>,
) =>
  moduleOf(3, 0, (run, phases) => {
    phases.phase("shared", () => run.get(0).i32(thread).op("i32.eq").if(() => act(run)));
  }, options);

/** Sleeps for so many nanoseconds, or for ever. */
export const sleepFor = (nanoseconds: bigint) => (run: FunctionBuilder) =>
  run.i32(data).i32(0).i64(nanoseconds).memory("memory.atomic.wait32").op("drop");

/** Until every worker takes part: each writes that it was there. */
export async function untilAllAreThere(
  pool: Pool,
  threads: number,
  memory: WebAssembly.Memory,
): Promise<void> {
  const id = await pool.load(moduleOf(1, 0, (run, phases) => {
    run.get(0).i32(64).op("i32.mul").i32(1).memory("i32.store", data + 4096);
    phases.phase("shared", () => {});
  }));
  const there = new Int32Array(memory.buffer, data + 4096, 16 * threads).fill(0);
  const count = () =>
    Array.from({ length: threads }, (_, thread) => there[16 * thread]).reduce((a, b) => a + b);
  for (let attempt = 0; count() < threads; attempt++) {
    assert(attempt < 3000, `${count()} of ${threads} threads came`);
    pool.run(id, []);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  pool.unload(id);
}
