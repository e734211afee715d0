/**
 * Builds the site into `site/.vitepress/dist`: `deno task site`. It installs what it needs below `site/node_modules`,
 * writes the reference with `deno doc`, and lets VitePress render the pages and bundle the library.
 */
import { writeReference } from "./reference.ts";

const SITE = new URL("./", import.meta.url);

/** Runs this Deno with arguments, and throws where it fails. */
async function deno(args: readonly string[], cwd: URL): Promise<void> {
  const { success, code } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd }).spawn().status;
  if (!success) throw new Error(`Cannot build the site: deno ${args[0]} ended with ${code}`);
}

if (import.meta.main) {
  await deno(["install", "--frozen"], SITE);
  if (!Deno.args.includes("--no-reference")) await writeReference(deno);
  await deno(["run", "--allow-all", "npm:vitepress", "build", "."], SITE);
}
