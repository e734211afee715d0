/** The thread pool: tiny kernels on one to three threads, failures that must not hang, and what idleness costs. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { f64, type FunctionBuilder, i32, ModuleBuilder } from "../../../kernels/wasm/assembler.ts";
import { addBarrier, type BarrierOptions } from "../../../kernels/wasm/barrier.ts";
import process from "node:process";
import { controlBytes, createPool, defaultThreads, type PoolOptions } from "../../../kernels/wasm/threads.ts";

const pages = { minimum: 2, maximum: 2, shared: true };
/** Kernels write behind the control block. */
const data = 65536;

const sharedMemory = () => new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });

function poolOf(threads: number, memory = sharedMemory(), options: Partial<PoolOptions> = {}) {
  return createPool({ threads, memory, controlAddress: 64, ...options });
}

/** A module whose `run` has `params` beside thread (local 0) and threads (local 1). */
function encode(
  params: number,
  write: (run: FunctionBuilder, barrier: FunctionBuilder) => void,
  barrierOptions?: BarrierOptions,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(pages);
  const barrier = addBarrier(module, barrierOptions);
  const run = module.addFunction("run", new Array<typeof i32>(2 + params).fill(i32));
  write(run, barrier);
  module.export(run);
  return module.encode();
}

const moduleOf = (...description: Parameters<typeof encode>) =>
  new WebAssembly.Module(encode(...description));

/** Writes thread `t`'s sum of the integers t, t + threads, ... below `end` (parameter 2) to `data + 4 t`. */
const encodeSums = () =>
  encode(1, (run) => {
    const index = run.local(i32), sum = run.local(i32);
    run.get(0).set(index).block(() => {
      run.loop(() => {
        run.get(index).get(2).op("i32.ge_s").brIf(1);
        run.get(sum).get(index).op("i32.add").set(sum);
        run.get(index).get(1).op("i32.add").set(index).br(0);
      });
    });
    run.get(0).i32(4).op("i32.mul").get(sum).memory("i32.store", data);
  });
const sums = () => new WebAssembly.Module(encodeSums());

const nothing = () => moduleOf(0, () => {});

/** Traps on one thread; the others wait at the barrier (parameter 2). */
const trapOn = (thread: number, options?: BarrierOptions) =>
  moduleOf(1, (run, barrier) => {
    run.get(0).i32(thread).op("i32.eq").if(() => run.op("unreachable"));
    run.get(2).get(1).call(barrier);
  }, options);

/** Sleeps for ever on one thread; the others wait at the barrier if its address (parameter 2) is not 0. */
const stuckOn = (thread: number, options?: BarrierOptions) =>
  moduleOf(1, (run, barrier) => {
    run.get(0).i32(thread).op("i32.eq").if(() => {
      run.i32(data).i32(0);
      run.code.push(0x42, 0x7f); // i64.const -1: without a limit
      run.memory("memory.atomic.wait32").op("drop");
    });
    run.get(2).if(() => run.get(2).get(1).call(barrier));
  }, options);

for (const threads of [1, 2, 3]) {
  Deno.test(`${threads} threads share a range, call after call`, async () => {
    const memory = sharedMemory();
    using pool = await poolOf(threads, memory);
    assertEquals(pool.threads, threads);
    const id = await pool.load(sums());
    const parts = new Int32Array(memory.buffer, data, threads);
    for (let end = 1; end < 2000; end++) {
      parts.fill(-1);
      pool.run(id, [end]);
      assertEquals(parts.reduce((sum, part) => sum + part, 0), end * (end - 1) / 2);
    }
  });

  Deno.test(`${threads} threads meet at a barrier in every round`, async () => {
    // In each round every thread writes its round, meets, reads all others', meets again, and counts mismatches.
    const rounds = 2_000;
    const meet = (options?: BarrierOptions) =>
      moduleOf(1, (run, barrier) => {
        const round = run.local(i32), other = run.local(i32), wrong = run.local(i32);
        run.count(round, rounds, 1, () => {
          run.get(0).i32(64).op("i32.mul").get(round).memory("i32.store", data);
          run.get(2).get(1).call(barrier);
          run.i32(0).set(other).count(other, { local: 1 }, 1, () => {
            run.get(other).i32(64).op("i32.mul").memory("i32.load", data).get(round).op("i32.ne");
            run.get(wrong).op("i32.add").set(wrong);
          });
          run.get(2).get(1).call(barrier);
        });
        run.get(0).i32(64).op("i32.mul").get(wrong).memory("i32.store", data + 4);
      }, options);
    const memory = sharedMemory();
    using pool = await poolOf(threads, memory);
    const words = new Int32Array(memory.buffer, data);
    // Without waiting, more threads than processors would take turns of whole time slices.
    const cases = threads <= defaultThreads() ? [{}, { mayWait: false }] : [{}];
    for (const options of cases) {
      words.fill(-1);
      const id = await pool.load(meet(options));
      pool.run(id, [pool.barrierAddress]);
      for (let thread = 0; thread < threads; thread++) {
        assertEquals([words[16 * thread], words[16 * thread + 1]], [rounds - 1, 0], `thread ${thread}`);
      }
    }
  });

  Deno.test(`A trap on any of ${threads} threads is an error that names it`, async () => {
    for (let thread = 0; thread < threads; thread++) {
      for (const mayWait of [true, false]) {
        using pool = await poolOf(threads);
        const id = await pool.load(trapOn(thread, { mayWait }));
        const other = await pool.load(nothing());
        pool.run(other, []);
        assertThrows(
          () => pool.run(id, [pool.barrierAddress]),
          Error,
          `Thread ${thread} of ${threads} failed: unreachable`,
        );
        assertThrows(() => pool.run(other, []), Error, "the pool cannot be used after a failure");
        await assertRejects(() => pool.load(nothing()), Error, "the pool cannot be used after a failure");
      }
    }
  });
}

Deno.test("Several modules are loaded at once, run while others load, and are unloaded", async () => {
  const memory = sharedMemory();
  using pool = await poolOf(3, memory);
  const first = await pool.load(sums());
  const loading = Promise.all([pool.load(nothing()), pool.load(sums()), pool.load(nothing())]);
  const parts = new Int32Array(memory.buffer, data, 3);
  for (let turn = 0; turn < 20; turn++) {
    pool.run(first, [10]);
    assertEquals([...parts], [18, 12, 15]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const ids = await loading;
  assertEquals(new Set([first, ...ids]).size, 4);
  pool.unload(first);
  assertThrows(() => pool.run(first, [10]), RangeError, "no module has the id");
  assertThrows(() => pool.unload(first), RangeError, "no module has the id");
  pool.run(ids[1], [4]);
  assertEquals([...parts], [3, 1, 2]);
});

Deno.test("Functions of Math may be imported, and nothing else", async () => {
  const memory = sharedMemory();
  using pool = await poolOf(2, memory);
  const importing = (from: string, name: string) => {
    const module = new ModuleBuilder(pages);
    const imported = module.importFunction(from, name, [f64, f64], [f64]);
    const run = module.addFunction("run", [i32, i32, f64]);
    run.get(0).i32(4).op("i32.mul").get(2).get(2).call(imported).op("f32.demote_f64").memory(
      "f32.store",
      data,
    );
    module.export(run);
    return new WebAssembly.Module(module.encode());
  };
  pool.run(await pool.load(importing("math", "pow")), [1.5]);
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

Deno.test("A memory that is not shared, or no SharedArrayBuffer, gives one thread that works", async () => {
  const module = new ModuleBuilder({ ...pages, shared: false });
  const run = module.addFunction("run", [i32, i32]);
  run.i32(0).get(1).memory("i32.store", data);
  module.export(run);
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  using pool = await poolOf(4, memory);
  assertEquals(pool.threads, 1);
  pool.run(await pool.load(new WebAssembly.Module(module.encode())), []);
  assertEquals(new Int32Array(memory.buffer, data, 1)[0], 1);

  const { SharedArrayBuffer: kept } = globalThis;
  const shared = sharedMemory();
  try {
    Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
    using inline = await poolOf(4, shared);
    assertEquals(inline.threads, 1);
    inline.run(await inline.load(sums()), [4]);
    assertEquals(new Int32Array(shared.buffer, data, 1)[0], 6);
  } finally {
    Object.defineProperty(globalThis, "SharedArrayBuffer", {
      value: kept,
      configurable: true,
      writable: true,
    });
  }
});

Deno.test("A pool that is disposed of says so", async () => {
  const pool = await poolOf(2);
  const id = await pool.load(nothing());
  pool[Symbol.dispose]();
  pool[Symbol.dispose]();
  assertThrows(() => pool.run(id, []), Error, "Cannot run a kernel: the pool is disposed of");
  assertThrows(() => pool.unload(id), Error, "Cannot unload a module: the pool is disposed of");
  await assertRejects(() => pool.load(nothing()), Error, "Cannot load a module: the pool is disposed of");

  const other = await poolOf(2);
  const loading = other.load(nothing());
  other[Symbol.dispose]();
  await assertRejects(() => loading, Error, "disposed of");
});

Deno.test("What cannot be is refused", async () => {
  await assertRejects(() => poolOf(0), RangeError, "threads must be a positive integer, current value is 0");
  await assertRejects(() => poolOf(1.5), RangeError, "current value is 1.5");
  await assertRejects(() => poolOf(2, sharedMemory(), { controlAddress: 8 }), RangeError, "a multiple of 64");
  const end = 2 * 65536;
  await assertRejects(
    () => poolOf(2, sharedMemory(), { controlAddress: end - controlBytes(2) + 64 & ~63 }),
    RangeError,
    "controlAddress",
  );
  using pool = await poolOf(2);
  const id = await pool.load(nothing());
  assertThrows(() => pool.run(id, new Array(17).fill(0)), RangeError, "at most 16 arguments, got 17");
  assertThrows(() => pool.run(99, []), RangeError, "no module has the id 99");
  assert(defaultThreads() >= 1 && defaultThreads() <= 8);
});

Deno.test("A worker that does not finish in time is an error", async () => {
  using pool = await poolOf(2, sharedMemory(), { finishSeconds: 0.2 });
  const id = await pool.load(stuckOn(1));
  assertThrows(() => pool.run(id, [0]), Error, "Thread 1 of 2 failed: it did not finish within 0.2 s");
  assertThrows(() => pool.run(id, [0]), Error, "the pool cannot be used after a failure");
});

Deno.test("A thread that does not come to the barrier in time is an error", async () => {
  for (const mayWait of [true, false]) {
    using pool = await poolOf(2, sharedMemory(), { startSeconds: 1 });
    const id = await pool.load(stuckOn(1, { mayWait, limitSeconds: 0.2 }));
    assertThrows(
      () => pool.run(id, [pool.barrierAddress]),
      Error,
      "another thread did not come to the barrier in time",
    );
  }
});

Deno.test("A worker killed from outside is an error, at once where its end is known, else by time", async () => {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const killed: InstanceType<typeof Worker>[] = [];
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (...args: Parameters<typeof post>) {
    killed.push(this);
    return post.apply(this, args);
  };
  try {
    for (const known of [true, false]) {
      using pool = await poolOf(2, sharedMemory(), { startSeconds: 1 });
      const id = await pool.load(nothing());
      pool.run(id, []);
      const ended = killed.at(-1)?.terminate();
      if (known) await ended;
      assertThrows(() => pool.run(id, []), Error, known ? "its worker ended" : "Thread 1 of 2 failed");
      await ended;
    }
  } finally {
    Worker.prototype.postMessage = post;
  }
});

Deno.test("Blob workers, as in browsers, do the same", async () => {
  const { getBuiltinModule } = process;
  try {
    Reflect.set(process, "getBuiltinModule", undefined);
    const memory = sharedMemory();
    using pool = await poolOf(3, memory);
    const id = await pool.load(sums());
    pool.run(id, [10]);
    assertEquals([...new Int32Array(memory.buffer, data, 3)], [18, 12, 15]);
    const trap = await pool.load(trapOn(2));
    assertThrows(() => pool.run(trap, [pool.barrierAddress]), Error, "Thread 2 of 3 failed: unreachable");
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
      const pool = await createPool({ threads: 3, memory, controlAddress: 0 });
      const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums()}])));
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
          const pool = await createPool({ threads: 3, memory, controlAddress: 0 });
          const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums()}])));
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
