/** The thread pool: tiny kernels on two and three threads, and what is refused. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { f64, i32, ModuleBuilder } from "../../../kernels/wasm/assembler.ts";
import { DeviceLost } from "../../../kernels/backend.ts";
import { addPhases } from "../../../kernels/wasm/phases.ts";
import { controlBytes, createPool, defaultThreads } from "../../../kernels/wasm/threads.ts";
import { capturingWorkers } from "../../support/workers.ts";
import {
  controlAddress,
  counting,
  data,
  moduleOf,
  nothing,
  onThread,
  pages,
  poolOf,
  sharedMemory,
  sums,
  untilAllAreThere,
} from "./pools.ts";

for (const threads of [2, 3]) {
  Deno.test(`${threads} threads share a range, call after call`, async () => {
    const memory = sharedMemory();
    using pool = poolOf(threads, memory);
    const id = await pool.load(sums(threads));
    const parts = new Int32Array(memory.buffer, data, threads);
    for (let end = 1; end < 2000; end++) {
      parts.fill(-1);
      pool.run(id, [end]);
      assertEquals(parts.reduce((sum, part) => sum + part, 0), end * (end - 1) / 2);
      if (end % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 60)); // workers doze, and then idle
    }
  });

  Deno.test(`${threads} threads compute every share once, phase after phase`, async () => {
    const memory = sharedMemory();
    using pool = poolOf(threads, memory);
    for (const shares of [1, 2, 7, 32]) {
      const rounds = 90, calls = 200;
      const counts = new Int32Array(memory.buffer, data, 32).fill(0);
      const id = await pool.load(counting(shares, rounds));
      for (let call = 0; call < calls; call++) pool.run(id, []);
      assertEquals(counts[0], rounds * calls);
      for (let share = 1; share < shares; share++) assertEquals(counts[share], rounds * calls * 2 / 3);
      pool.unload(id);
    }
  });

  Deno.test(`${threads} threads read in a phase what others wrote in the one before`, async () => {
    const rounds = 500;
    for (const mayWait of threads <= defaultThreads() ? [true, false] : [true]) {
      // In each round every share writes the round and then counts where others wrote another one.
      const module = moduleOf(threads, 0, (run, phases) => {
        const other = run.local(i32);
        for (let round = 0; round < rounds; round++) {
          phases.phase("shared", (share) => {
            run.get(share).i32(64).op("i32.mul").i32(round).memory("i32.store", data);
          });
          phases.phase("shared", (share) => {
            run.i32(0).set(other).count(other, threads, 1, () => {
              run.get(other).i32(64).op("i32.mul").memory("i32.load", data).i32(round).op("i32.ne").if(() => {
                run.get(share).i32(64).op("i32.mul").i32(1).memory("i32.store", data + 4);
              });
            });
          });
        }
      }, { mayWait });
      const memory = sharedMemory();
      using pool = poolOf(threads, memory);
      const words = new Int32Array(memory.buffer, data);
      const id = await pool.load(module);
      for (let call = 0; call < 20; call++) pool.run(id, []);
      for (let share = 0; share < threads; share++) {
        assertEquals([words[16 * share], words[16 * share + 1]], [rounds - 1, 0], `share ${share}`);
      }
    }
  });

  Deno.test(`A trap on any of ${threads} threads is an error that names it`, async () => {
    for (let thread = 0; thread < threads; thread++) {
      for (const mayWait of [true, false]) {
        const memory = sharedMemory();
        using pool = poolOf(threads, memory);
        await untilAllAreThere(pool, threads, memory);
        const id = await pool.load(onThread(thread, (run) => run.op("unreachable"), { mayWait }));
        const other = await pool.load(nothing());
        pool.run(other, []);
        assertThrows(
          () => {
            for (let call = 0; call < 100_000; call++) pool.run(id, []); // until the thread claims a share
          },
          DeviceLost,
          `Thread ${thread} of ${threads} failed: unreachable`,
        );
        assertThrows(() => pool.run(other, []), DeviceLost, "the pool cannot be used after a failure");
        await assertRejects(
          () => pool.load(nothing()),
          DeviceLost,
          "the pool cannot be used after a failure",
        );
        pool.unload(other); // never throws
      }
    }
  });
}

Deno.test("Several modules are loaded at once, run while others load, and are unloaded", async () => {
  const memory = sharedMemory();
  using pool = poolOf(3, memory);
  const first = await pool.load(sums(3));
  const loading = Promise.all([pool.load(nothing()), pool.load(sums(3)), pool.load(nothing())]);
  const parts = new Int32Array(memory.buffer, data, 3);
  for (let turn = 0; turn < 20; turn++) {
    parts.fill(-1);
    pool.run(first, [10]);
    assertEquals([...parts], [18, 12, 15]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const ids = await loading;
  assertEquals(new Set([first, ...ids]).size, 4);
  pool.unload(first);
  assertThrows(() => pool.run(first, [10]), RangeError, "no module has the id");
  pool.unload(first);
  pool.run(ids[1], [4]);
  assertEquals([...parts], [3, 1, 2]);
});

Deno.test("Functions of Math may be imported, and nothing else", async () => {
  const memory = sharedMemory();
  using pool = poolOf(2, memory);
  const importing = (from: string, name: string) => {
    const module = new ModuleBuilder(pages);
    const imported = module.importFunction(from, name, [f64, f64], [f64]);
    const phasesOf = addPhases(module, { address: controlAddress, shares: 2 });
    const run = module.addFunction("run", [i32, i32, i32], [i32]);
    phasesOf(run).phase("shared", (share) => {
      run.get(share).i32(4).op("i32.mul").f32(1.5).op("f64.promote_f32").f32(1.5).op("f64.promote_f32");
      run.call(imported).op("f32.demote_f64").memory("f32.store", data);
    });
    run.i32(0);
    module.export(run);
    return new WebAssembly.Module(module.encode());
  };
  pool.run(await pool.load(importing("math", "pow")), []);
  assertEquals([...new Float32Array(memory.buffer, data, 2)], [
    Math.fround(1.5 ** 1.5),
    Math.fround(1.5 ** 1.5),
  ]);
  await assertRejects(() => pool.load(importing("math", "PI")), TypeError, "it imports `math.PI`");
  await assertRejects(() => pool.load(importing("env", "pow")), TypeError, "it imports `env.pow`");
  const empty = new ModuleBuilder(pages);
  await assertRejects(
    () => pool.load(new WebAssembly.Module(empty.encode())),
    TypeError,
    "it does not export `run`",
  );
});

Deno.test("A pool that is disposed of says so", async () => {
  const pool = poolOf(2);
  const id = await pool.load(nothing());
  pool[Symbol.dispose]();
  pool[Symbol.dispose]();
  assertThrows(() => pool.run(id, []), Error, "Cannot run a kernel: the pool is disposed of");
  pool.unload(id); // never throws
  await assertRejects(() => pool.load(nothing()), Error, "Cannot load a module: the pool is disposed of");

  const other = poolOf(2);
  const loading = other.load(nothing());
  other[Symbol.dispose]();
  await assertRejects(() => loading, Error, "disposed of");
});

Deno.test("What cannot be is refused", async () => {
  for (const threads of [0, 1, 1.5, 33]) {
    assertThrows(() => poolOf(threads), RangeError, `from 2 to 32, current value is ${threads}`);
  }
  assertThrows(() => poolOf(2, sharedMemory(), 8), RangeError, "a multiple of 64");
  const end = 2 * 65536;
  assertThrows(
    () => poolOf(2, sharedMemory(), end - controlBytes(2) + 64 & ~63),
    RangeError,
    "controlAddress",
  );
  using pool = poolOf(2);
  const id = await pool.load(nothing());
  assertThrows(() => pool.run(id, new Array(17).fill(0)), RangeError, "at most 16 arguments, got 17");
  assertThrows(() => pool.run(99, []), RangeError, "no module has the id 99");
  assert(defaultThreads() >= 1 && defaultThreads() <= 8);
});

Deno.test("workers are started once calls without them have taken long enough, or when asked to", async () => {
  for (const startAfter of [5, 1e9]) {
    const memory = sharedMemory();
    using pool = createPool({ threads: 2, memory, controlAddress, startAfter });
    const id = await pool.load(sums(2));
    const parts = new Int32Array(memory.buffer, data, 2);
    await capturingWorkers(async (workers) => {
      const run = () => {
        pool.run(id, [60_000]);
        assertEquals(parts[0] + parts[1], 60_000 * 59_999 / 2);
      };
      run();
      assertEquals(workers.length, 0);
      if (startAfter === 5) { for (let call = 0; call < 100_000 && workers.length === 0; call++) run(); }
      else pool.start();
      assertEquals(workers.length, 1);
      pool.start();
      assertEquals(workers.length, 1, "they are started once");
      await untilAllAreThere(pool, 2, memory);
    });
  }
});
