/** Special values on WebGPU in a headless Chromium, whose compilers and adapter are others than Deno's. */
import { assert, assertEquals } from "@std/assert";
import { bundleEntry } from "./support/bundles.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";

const SCRIPT = `import("/numbers.js").then(({ runNumbers }) => runNumbers())`;

testInFolder(
  "WebGPU in Chromium has the special values of every primitive, and computes as it is written",
  missingForPages,
  async (folder) => {
    await bundleEntry("tests/platforms/numbers_in_page.ts", `${folder}/numbers.js`);
    const { at, shutdown } = servePages((path) =>
      path === "/numbers.js" ? Deno.readFile(folder + path) : Promise.resolve(undefined)
    );
    try {
      const [{ value, errors }] = await browse(folder, [{ url: at("/plain"), expression: SCRIPT }], {
        seconds: 240,
      });
      assertEquals(errors, []);
      const { checks, faults } = value as { checks: number; faults: string[] }; // what the script evaluates to
      assert(checks > 80);
      assertEquals(faults, []);
    } finally {
      await shutdown();
    }
  },
);
