import { assertEquals } from "@std/assert";
import { isWhole, keep } from "../../../kernels/native/cache.ts";

const mayWrite = Deno.permissions.querySync({ name: "write" }).state === "granted";

Deno.test({
  name: "native: the files that were used least recently make room",
  ignore: !mayWrite,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const size = 100 * 2 ** 20;
      const names = ["a", "b", "c"].map((name) => `${directory}/${name}.so`);
      for (const [index, path] of names.entries()) {
        await keep(directory, path, (to) => Deno.writeFile(to, new Uint8Array(size)));
        const then = new Date(2020, 1, index === 0 ? 3 : 1);
        if (index < 2) await Deno.utime(path, then, then); // the first was used after the second
      }
      assertEquals(await Promise.all(names.map(isWhole)), [true, false, true]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
