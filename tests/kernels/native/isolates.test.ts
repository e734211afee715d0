/** Workers of one process have a device each, and share the runtime and the code of Programs. */
import { assertEquals } from "@std/assert";
import { missing } from "./backends.ts";

Deno.test("native: workers of a process load, run and unload Programs at once", {
  ignore: missing !== undefined,
}, async () => {
  const path = decodeURIComponent(new URL("./isolates.ts", import.meta.url).pathname);
  const config = decodeURIComponent(new URL("../../../deno.json", import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", config, path],
  }).output();
  const text = new TextDecoder();
  assertEquals({ code, stdout: text.decode(stdout) }, {
    code: 0,
    stdout: `${JSON.stringify(Array(6).fill(""))}\n`,
  }, text.decode(stderr));
});
