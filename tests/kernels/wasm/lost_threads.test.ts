/** Threads that do not come, take long or are lost: calls are right all the same, or end with an error. */
import { assertEquals, assertThrows } from "@std/assert";
import { DeviceLost } from "../../../kernels/backend.ts";
import process from "node:process";
import { eventually } from "../../support/eventually.ts";
import { capturingWorkers } from "../../support/workers.ts";
import {
  addTo,
  data,
  moduleOf,
  onThread,
  poolOf,
  sharedMemory,
  sleepFor,
  sums,
  untilAllAreThere,
} from "./pools.ts";

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

Deno.test("A worker that took part is started anew even if it ended before its first message came", async () => {
  await capturingWorkers(async (workers) => {
    const memory = sharedMemory();
    using pool = poolOf(2, memory);
    workers[0].removeAllListeners("message");
    await untilAllAreThere(pool, 2, memory);
    await workers[0].terminate();
    assertEquals(await eventually(() => workers.length, 2), 2);
    await untilAllAreThere(pool, 2, memory);
    assertEquals(pool.missing, undefined);
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
