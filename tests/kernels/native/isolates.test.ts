/** Workers of one process have a device each, which ends with them, and share the runtime and the code of Programs. */
import { assert, assertEquals } from "@std/assert";
import { missing } from "./backends.ts";

/** What a module of this folder prints when it runs in a process of its own. */
async function printed(module: string): Promise<string> {
  const path = (from: string) => decodeURIComponent(new URL(from, import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", path("../../../deno.json"), path(module)],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("native: workers of a process load, run and unload Programs at once", {
  ignore: missing !== undefined,
}, async () => {
  assertEquals(JSON.parse(await printed("./isolates.ts")), Array(6).fill(""));
});

Deno.test("native: the memory, addresses and threads of a worker that is terminated go back to the system", {
  ignore: missing !== undefined || Deno.build.os !== "linux",
}, async () => {
  const { results, before, after } = JSON.parse(await printed("./terminated.ts"));
  assertEquals(results, [2, 2, 2, 2]);
  assert(after.threads <= before.threads, `${after.threads} threads, ${before.threads} before`);
  // Each had two tensors of 64 MiB, in a device of gibibytes of addresses.
  assert(after.memory < before.memory + 200, `${after.memory} MiB, ${before.memory} before`);
  assert(after.addresses < before.addresses + 10_000, `${after.addresses} MiB, ${before.addresses} before`);
});
