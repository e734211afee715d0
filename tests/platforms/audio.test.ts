/**
 * The example of an audio worklet in a headless Chromium: a network on the audio thread renders what `predict` gives for
 * the whole sound, each block in less time than it sounds, in isolated pages and in others.
 */
import { assert, assertEquals } from "@std/assert";
import type { Rendered } from "../../examples/audio/main.ts";
import { bundleEntry } from "./support/bundles.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";

const BLOCKS = 375;

/** Another program of the machine may take the processor for longer than a block, but not in each of so many. */
const RENDERINGS = 20;

const SCRIPT = `(async () => {
  const { render } = await import("/main.js");
  const all = [];
  while (all.at(-1)?.late !== 0 && all.length < ${RENDERINGS}) all.push(await render("/worklet.js", ${BLOCKS}));
  return all;
})()`;

testInFolder(
  "an audio worklet in Chromium renders what predict gives, every block in time",
  missingForPages,
  async (folder) => {
    for (const name of ["main", "worklet"]) {
      await bundleEntry(`examples/audio/${name}.ts`, `${folder}/${name}.js`);
    }
    const { at, shutdown } = servePages((path) =>
      path.endsWith(".js") ? Deno.readFile(folder + path) : Promise.resolve(undefined)
    );
    try {
      const visits = ["/isolated", "/plain"].map((path) => ({ url: at(path), expression: SCRIPT }));
      for (const { value, errors } of await browse(folder, visits, { seconds: 120 })) {
        assertEquals(errors, []);
        const renderings = value as readonly Rendered[]; // what the script evaluates to
        for (const { blocks, loudest, difference } of renderings) {
          assertEquals(blocks, BLOCKS);
          assert(loudest > 0.1, `a sound: ${loudest}`);
          assert(difference <= 1e-6, `the samples differ by ${difference}`);
        }
        assert(
          renderings.some(({ late }) => late === 0),
          `late blocks: ${renderings.map(({ late }) => late)}`,
        );
      }
    } finally {
      await shutdown();
    }
  },
);
