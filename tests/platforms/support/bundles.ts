/** The bundles that the platforms run: the library as by `deno task bundle`, and the smoke program beside it. */
import { assert } from "@std/assert";
import configuration from "../../../deno.json" with { type: "json" };

const ROOT = new URL("../../../", import.meta.url);

/** Makes both anew in a folder, as `cellfold.js` and `smoke.js`. */
export async function bundleInto(folder: string): Promise<void> {
  // The words of the task, but for where the bundle goes: tests that run at once must not write the same file.
  const [, ...words] = configuration.tasks.bundle.split(" ");
  await deno(...words.map((word) => word === "dist/cellfold.js" ? `${folder}/cellfold.js` : word));
  await bundleEntry("tests/platforms/smoke.ts", `${folder}/smoke.js`);
}

/** Bundles a module, by its path in the project, for a browser, or for Node with modules of its own. */
export async function bundleEntry(entry: string, output: string): Promise<void> {
  await deno("bundle", "--platform", "browser", "--external", "node:*", "--output", output, entry);
}

async function deno(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, `deno ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
