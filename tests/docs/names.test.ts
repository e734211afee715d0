/** docs/names.md has every name that is exported, as documented now. */
import { assert, assertEquals } from "@std/assert";
import { formattedPage, PAGE } from "./names.ts";

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted"; // execPath

Deno.test({
  name: "docs/names.md is what tests/docs/names.ts writes",
  ignore: !mayRun,
  fn: async () => {
    const page = await formattedPage();
    assert(page.includes("| `scan("), "names are found");
    assertEquals(await Deno.readTextFile(PAGE), page);
  },
});
