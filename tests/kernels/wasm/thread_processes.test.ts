/** What threads cost a process: nothing while they are idle, and they end with it. */
import { assert, assertEquals } from "@std/assert";
import { data, encodeSums } from "./pools.ts";

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
    const program = `      import { createPool } from ${JSON.stringify(threads)};
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

Deno.test({
  name: "starting threads reads no environment: on a terminal, Deno asks whether that is allowed",
  ignore: !canSpawn,
  async fn() {
    const threads = import.meta.resolve("../../../kernels/wasm/threads.ts");
    const program = `      import { createPool } from ${JSON.stringify(threads)};
      process.env = new Proxy({}, {
        get: (_, name) => void console.log("read", String(name)),
        ownKeys: () => (console.log("listed"), []),
      });
      const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
      const pool = createPool({ threads: 2, memory, controlAddress: 64 });
      const id = await pool.load(new WebAssembly.Module(new Uint8Array([${encodeSums(2)}])));
      pool.run(id, [10]);
      console.log([...new Int32Array(memory.buffer, ${data}, 2)].join());`;
    const file = await Deno.makeTempFile({ suffix: ".mts" });
    await Deno.writeTextFile(file, program);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["run", "--no-prompt", file] })
      .output();
    await Deno.remove(file);
    const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    assert(/^\d+,\d+$/.test(out), out + errors);
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
