/** The thread pool: tiny kernels on one to three threads, threads that do not come, failures, and what idleness costs. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  f64,
  type FunctionBuilder,
  i32,
  type Local,
  ModuleBuilder,
} from "../../../kernels/wasm/assembler.ts";
import { DeviceLost } from "../../../kernels/backend.ts";
import { addPhases, type Phases, type PhasesOptions } from "../../../kernels/wasm/phases.ts";
import process from "node:process";
import { controlBytes, createPool, defaultThreads, type Pool } from "../../../kernels/wasm/threads.ts";
import { eventually } from "../../support/eventually.ts";
import { capturingWorkers } from "../../support/workers.ts";

const pages = { minimum: 2, maximum: 2, shared: true };
/** Kernels write behind the control block. */
const data = 65536;
const controlAddress = 64;

const sharedMemory = () => new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });

/** A pool whose threads all take part in every call. */
function poolOf(threads: number, memory = sharedMemory(), address = controlAddress) {
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

const moduleOf = (...description: Parameters<typeof encode>) =>
  new WebAssembly.Module(encode(...description));

/** Writes share `s`'s sum of the integers s, s + shares, ... below `end` (parameter 3) to `data + 4 s`. */
const encodeSums = (shares: number) =>
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
const sums = (shares: number) => new WebAssembly.Module(encodeSums(shares));

const nothing = () => moduleOf(2, 0, (_run, phases) => phases.phase("shared", () => {}));

/** Writes to `data + 4 s` how often share `s` was computed, in so many phases one after the other. */
const counting = (shares: number, rounds: number) =>
  moduleOf(shares, 0, (run, phases) => {
    for (let round = 0; round < rounds; round++) {
      phases.phase(round % 3 === 2 ? "single" : "shared", (share) => addTo(run, share, data));
    }
  });

function addTo(run: FunctionBuilder, share: Local, address: number): void {
  run.get(share).i32(4).op("i32.mul").get(share).i32(4).op("i32.mul").memory("i32.load", address).i32(1)
    .op("i32.add").memory("i32.store", address);
}

/** Does something on one thread, whatever its share; the others compute theirs. */
const onThread = (thread: number, act: (run: FunctionBuilder) => void, options?: Partial<PhasesOptions>) =>
  moduleOf(3, 0, (run, phases) => {
    phases.phase("shared", () => run.get(0).i32(thread).op("i32.eq").if(() => act(run)));
  }, options);

/** Sleeps for so many nanoseconds, or for ever. */
const sleepFor = (nanoseconds: bigint) => (run: FunctionBuilder) =>
  run.i32(data).i32(0).i64(nanoseconds).memory("memory.atomic.wait32").op("drop");

/** Until every worker takes part: each writes that it was there. */
async function untilAllAreThere(pool: Pool, threads: number, memory: WebAssembly.Memory): Promise<void> {
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

Deno.test("A share that is claimed and never computed is an error after the limit", async () => {
  for (const mayWait of [true, false]) {
    const memory = sharedMemory();
    using pool = poolOf(2, memory);
    await untilAllAreThere(pool, 2, memory);
    const id = await pool.load(onThread(1, sleepFor(-1n), { mayWait, limitSeconds: 0.2 }));
    assertThrows(
      () => {
        for (let call = 0; call < 100_000; call++) pool.run(id, []);
      },
      DeviceLost,
      "a share that was begun was not computed in time",
    );
  }
});

Deno.test("A share that takes long is waited for, and who has waited long joins in again", async () => {
  const memory = sharedMemory();
  using pool = poolOf(2, memory);
  await untilAllAreThere(pool, 2, memory);
  const id = await pool.load(moduleOf(2, 0, (run, phases) => {
    phases.phase("single", () => sleepFor(1_300_000_000n)(run));
    phases.phase("shared", (share) => addTo(run, share, data));
    phases.phase("single", () => sleepFor(1_300_000_000n)(run));
    phases.phase("shared", (share) => addTo(run, share, data));
  }));
  const counts = new Int32Array(memory.buffer, data + 0, 2);
  counts.fill(0);
  pool.run(id, []);
  assertEquals([...counts], [2, 2]);
});

Deno.test("A worker that is killed is missed by no call, known or not, and started anew", async () => {
  await capturingWorkers(async (workers) => {
    const memory = sharedMemory();
    using pool = poolOf(3, memory);
    await untilAllAreThere(pool, 3, memory);
    const id = await pool.load(sums(3));
    const parts = new Int32Array(memory.buffer, data, 3);
    for (const known of [true, false]) {
      const before = workers.length;
      const ended = workers[before - 1].terminate();
      if (known) await ended;
      for (let call = 0; call < 100; call++) {
        parts.fill(-1);
        pool.run(id, [10]);
        assertEquals([...parts], [18, 12, 15]);
      }
      await ended;
      assertEquals(await eventually(() => workers.length, before + 1), before + 1);
      await untilAllAreThere(pool, 3, memory);
      pool.run(id, [10]);
      assertEquals(pool.missing, undefined);
    }
  });
});

Deno.test("Without any worker that starts, the calling thread computes all", async () => {
  const { getBuiltinModule } = process;
  for (const [how, message] of [["throws", "no more threads"], ["errors later", "not today"]]) {
    try {
      const Worker = class {
        constructor() {
          if (how === "throws") throw new Error(message);
        }
        on(event: string, listener: (error: Error) => void) {
          if (event === "error") setTimeout(() => listener(new Error(message)));
        }
        postMessage() {}
        unref() {}
        terminate() {
          return Promise.reject(new Error("gone")); // nobody is told
        }
      };
      Reflect.set(process, "getBuiltinModule", () => ({ Worker }));
      const memory = sharedMemory();
      using pool = poolOf(3, memory);
      const id = await pool.load(sums(3));
      for (let call = 0; call < 50; call++) pool.run(id, [10]);
      assertEquals([...new Int32Array(memory.buffer, data, 3)], [18, 12, 15]);
      assertEquals(
        await eventually(() => pool.missing, `thread 1 of 3: ${message}`),
        `thread 1 of 3: ${message}`,
      );
      pool.run(id, [10]);
    } finally {
      Reflect.set(process, "getBuiltinModule", getBuiltinModule);
    }
  }
});

Deno.test("Blob workers, as in browsers, do the same", async () => {
  const { getBuiltinModule } = process;
  try {
    Reflect.set(process, "getBuiltinModule", undefined);
    const memory = sharedMemory();
    using pool = poolOf(3, memory);
    await untilAllAreThere(pool, 3, memory);
    const id = await pool.load(sums(3));
    pool.run(id, [10]);
    assertEquals([...new Int32Array(memory.buffer, data, 3)], [18, 12, 15]);
    const trap = await pool.load(onThread(2, (run) => run.op("unreachable")));
    assertThrows(
      () => {
        for (let call = 0; call < 100_000; call++) pool.run(trap, []);
      },
      DeviceLost,
      "Thread 2 of 3 failed: unreachable",
    );
  } finally {
    Reflect.set(process, "getBuiltinModule", getBuiltinModule);
  }
});

const canSpawn = (await Deno.permissions.query({ name: "run" })).state === "granted";
const node = canSpawn && await nodeReadsTypeScript() ? "node" : undefined;

async function nodeReadsTypeScript(): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("node", {
      args: ["-e", "process.exit(process.features.typescript ? 0 : 1)"],
    }).output();
    return success;
  } catch {
    return false; // no Node here
  }
}

Deno.test({
  name: "Idle workers use no processor time",
  // In a process of its own: other tests may run in this one meanwhile.
  ignore: !canSpawn,
  async fn() {
    const threads = import.meta.resolve("../../../kernels/wasm/threads.ts");
    const program = `import process from "node:process";
      import { createPool } from ${JSON.stringify(threads)};
      const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
      const pool = createPool({ threads: 3, memory, controlAddress: 64 });
      const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums(3)}])));
      pool.run(id, [10]);
      const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
      await pause(); // compilers finish
      const before = process.cpuUsage();
      await pause();
      const { user, system } = process.cpuUsage(before);
      console.log(user + system);`;
    const file = await Deno.makeTempFile({ suffix: ".mts" });
    await Deno.writeTextFile(file, program);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["run", "--no-prompt", file] })
      .output();
    await Deno.remove(file);
    const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    assert(/^\d+$/.test(out), errors);
    // One spinning worker would take 300,000 µs.
    assert(Number(out) < 100_000, `${out} µs of processor time in 300 ms of idleness`);
  },
});

for (const command of [[Deno.execPath(), "run", "--no-prompt"], [node ?? "node", "--no-warnings"]]) {
  Deno.test({
    name: `A process of ${
      command[0] === Deno.execPath() ? "Deno without permissions" : "Node"
    } ends by itself`,
    ignore: !canSpawn || (command[0] === "node" && !node),
    async fn() {
      const file = await Deno.makeTempFile({ suffix: ".mts" });
      const threads = import.meta.resolve("../../../kernels/wasm/threads.ts");
      for (const end of ["", "pool[Symbol.dispose]();", "throw new Error('on purpose');"]) {
        await Deno.writeTextFile(
          file,
          `import { createPool } from ${JSON.stringify(threads)};
          const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
          const pool = createPool({ threads: 3, memory, controlAddress: 64 });
          const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums(3)}])));
          pool.run(id, [10]);
          console.log([...new Int32Array(memory.buffer, ${data}, 3)].join());
          ${end}`,
        );
        const [program, ...args] = command;
        const child = new Deno.Command(program, { args: [...args, file], stdout: "piped", stderr: "piped" })
          .spawn();
        const limit = setTimeout(() => child.kill("SIGKILL"), 20_000);
        const { code, signal, stdout, stderr } = await child.output();
        clearTimeout(limit);
        const errors = new TextDecoder().decode(stderr);
        assertEquals(signal, null, errors);
        assertEquals(new TextDecoder().decode(stdout).trim(), "18,12,15", errors);
        assertEquals(code, end.startsWith("throw") ? 1 : 0, errors);
      }
      await Deno.remove(file);
    },
  });
}

const isLinux = Deno.build.os === "linux";

for (
  const [when, calls] of [["between calls", "once()"], [
    "while it makes calls",
    "for (;; await pause(0)) once()",
  ]]
) {
  Deno.test({
    name: `Threads end with the Worker that used them, though it is terminated ${when}`,
    // In a process of its own, whose threads nobody else starts. They are counted in /proc.
    ignore: !canSpawn || !isLinux,
    async fn() {
      const file = await Deno.makeTempFile({ suffix: ".mts" });
      const threads = import.meta.resolve("../../../kernels/wasm/threads.ts");
      await Deno.writeTextFile(
        file,
        `const isWorker = typeof WorkerGlobalScope !== "undefined";
        const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
        if (isWorker) {
          const { createPool } = await import(${JSON.stringify(threads)});
          const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
          const pool = createPool({ threads: 4, memory, controlAddress: 64 });
          const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums(3)}])));
          const once = () => pool.run(id, [100000]);
          once();
          await pause(300); // its workers have started
          postMessage(1);
          ${calls};
        } else {
          const count = () => Number(Deno.readTextFileSync("/proc/self/status").match(/Threads:\\s+(\\d+)/)[1]);
          const most = [];
          let before;
          for (let turn = 0; turn < 4; turn++) {
            const worker = new Worker(import.meta.url, { type: "module" });
            await new Promise((resolve) => worker.onmessage = resolve);
            await pause(20);
            most.push(count());
            worker.terminate();
            before ??= most[0] - 4; // the Worker and its pool's three
            for (let wait = 0; wait < 400 && count() > before + 1; wait++) await pause(50);
            console.log(count() <= before + 1, most.at(-1) <= most[0] + 2);
          }
          Deno.exit();
        }`,
      );
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-check", "--allow-all", file],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const limit = setTimeout(() => child.kill("SIGKILL"), 100_000);
      const { stdout, stderr } = await child.output();
      clearTimeout(limit);
      await Deno.remove(file);
      assertEquals(
        new TextDecoder().decode(stdout),
        "true true\n".repeat(4),
        new TextDecoder().decode(stderr),
      );
    },
  });
}
