import { assert, assertEquals } from "@std/assert";
import { isWhole, keep, useText } from "../../../kernels/native/cache.ts";

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

Deno.test({
  name: "native: a text is used when its code is, and written again if it made room",
  ignore: !mayWrite,
  async fn() {
    const directory = await Deno.makeTempDir(), path = `${directory}/a.c`;
    try {
      await useText(path, "int a;");
      assertEquals(await Deno.readTextFile(path), "int a;");
      const then = new Date(2020, 1, 1);
      await Deno.utime(path, then, then);
      await useText(path, "int a;");
      assert((await Deno.stat(path)).mtime!.getTime() > then.getTime());
      await useText(`${directory}/missing/a.c`, "int a;"); // a cache that cannot be written keeps none
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
