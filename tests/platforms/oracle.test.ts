/**
 * The oracle in a headless Chromium, on wasm and on WebGPU, in a page that is cross-origin isolated and in one that is
 * not. `deno task test:browser` runs all groups; other runs of the tests a few small ones.
 */
import { assert, assertEquals } from "@std/assert";
import { groupNames, readGroup } from "../oracle/files.ts";
import { bundleEntry } from "./support/bundles.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";
import type { GroupResult } from "./oracle_in_page.ts";

const mayRead = missingForPages.length === 0;
const groups = mayRead ? groupNames() : [];
const isFull = mayRead && Deno.env.get("CELLFOLD_BROWSER") === "full";
const chosen = isFull ? groups : groups.filter((name) => ["cells", "stateful"].includes(name));

/** Evaluates to what came of each group. */
function script(device: string): string {
  return `(async () => {
    const { runOracle } = await import("/oracle.js");
    const results = [];
    for (const group of ${JSON.stringify(chosen)}) {
      const text = await (await fetch("/oracle/" + group + ".json")).text();
      results.push(await runOracle(text, group + ".json", ${JSON.stringify(device)}));
    }
    return results;
  })()`;
}

testInFolder(
  "the oracle's cases are right in Chromium, on wasm and webgpu",
  missingForPages,
  async (folder) => {
    await bundleEntry("tests/platforms/oracle_in_page.ts", `${folder}/oracle.js`);
    const { at, shutdown } = servePages(async (path) => {
      if (path === "/oracle.js") return await Deno.readFile(folder + path);
      const [, group] = path.match(/^\/oracle\/(\w+)\.json$/) ?? [];
      return groups.includes(group) ? await readGroup(group) : undefined;
    });
    try {
      const cases = [
        { path: "/isolated", device: "wasm" },
        { path: "/plain", device: "wasm" },
        { path: "/isolated", device: "webgpu" },
        { path: "/plain", device: "webgpu" },
      ].slice(0, isFull ? 4 : 3);
      const visited = await browse(
        folder,
        cases.map(({ path, device }) => ({ url: at(path), expression: script(device) })),
        { seconds: isFull ? 1800 : 300 },
      );
      for (const [index, { path, device }] of cases.entries()) {
        const { value, errors } = visited[index];
        const results = value as readonly GroupResult[]; // what the script evaluates to
        const lines = results.flatMap((result) => result.lines);
        if (isFull) console.log([`${device}, ${path}`, ...lines].join("\n"));
        assertEquals(errors, [], `${device}, ${path}`);
        assertEquals(results.length, chosen.length);
        assert(results.every(({ passed }) => passed), `${device}, ${path}:\n${lines.join("\n")}`);
      }
    } finally {
      await shutdown();
    }
  },
);
