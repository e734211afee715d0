/** The threads of native devices: what they take while nothing runs, and that a process ends with them. */
import { assert, assertEquals } from "@std/assert";
import { RUNTIME } from "../../../kernels/native/c/runtime.ts";
import { add, compile, host, matmul, type Tensor, tensor } from "../../../mod.ts";
import { missing } from "./backends.ts";
import { holdStandalone, isThere, someCases } from "./standalone.ts";

const options = { ignore: missing !== undefined, sanitizeResources: false, sanitizeOps: false };
const device = { name: "native", threads: 4, shareFrom: 0 } as const;

// In a process of its own, as other tests may run beside this one.
Deno.test("native: idle threads take no processor", options, async () => {
  const script = new URL("./idle.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "--allow-all", script],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  const used = Number(text.decode(stdout));
  assert(used < 200, `${used} ms of processor in 500 ms`);
});

Deno.test("native: calls of several devices, one after the other, are right", options, async () => {
  const functions = [2, 3, 4].map((threads) =>
    compile((a: Tensor, b: Tensor) => matmul(add(a, b), b), { device: { ...device, threads } })
  );
  for (let round = 0; round < 200; round++) {
    for (const f of functions) {
      const x = tensor([[round, 1], [2, 3]]);
      assertEquals([...host(await f(x, tensor([[1, 0], [0, 1]])) as Tensor).data], [round + 1, 1, 2, 4]);
    }
  }
  for (const f of functions) f[Symbol.dispose]();
});

Deno.test("native: Programs are loaded and unloaded while threads wake and sleep", options, async () => {
  for (let round = 0; round < 40; round++) {
    using f = compile((a: Tensor) => add(matmul(a, a), round % 4), { device });
    for (let call = 0; call < 5; call++) {
      assertEquals(
        [...host(await f(tensor([[1, 1], [0, 1]])) as Tensor).data],
        [1, 2, 0, 1].map((x) => x + round % 4),
      );
    }
    if (round % 8 === 0) await new Promise((done) => setTimeout(done, 5)); // long enough to fall asleep
  }
});

const limited = { compiler: "cc", flags: ["-O1"], emulator: ["timeout", "60"] };

Deno.test("native: a thread that is late for a call ends with its device", {
  ignore: missing !== undefined || !await isThere(limited),
}, async () => {
  const entry = "__atomic_add_fetch(&pool->inside, 1, __ATOMIC_SEQ_CST);";
  const runtime = RUNTIME.replace(entry, `extern int usleep(unsigned); usleep(50000); ${entry}`);
  assert(runtime !== RUNTIME);
  await holdStandalone(limited, { runtime, cases: someCases.slice(0, 3) });
});
