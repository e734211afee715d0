/**
 * Builds the site into `site/.vitepress/dist`: `deno task site`. It installs what it needs below `site/node_modules`,
 * writes the reference with `deno doc`, and lets VitePress render the pages and bundle the library.
 */

const SITE = new URL("./", import.meta.url);
const HOUSE = new URL("../", SITE);

/** Runs this Deno with arguments, and throws where it fails. */
async function deno(args: readonly string[], cwd: URL): Promise<void> {
  const { success, code } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd }).spawn().status;
  if (!success) throw new Error(`Cannot build the site: deno ${args[0]} ended with ${code}`);
}

/** The API of all entry points, below `/reference/`. */
async function writeReference(): Promise<void> {
  const config: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", HOUSE)),
  );
  const { internal: _, ...exports } = Object.fromEntries(
    Object.entries(config.exports).map(([name, path]) => [name.replace("./", ""), path]),
  );
  const output = new URL("public/reference/", SITE).pathname;
  await deno(["doc", "--html", "--name=Cellfold", `--output=${output}`, ...Object.values(exports)], HOUSE);
}

if (import.meta.main) {
  await deno(["install", "--frozen"], SITE);
  if (!Deno.args.includes("--no-reference")) await writeReference();
  await deno(["run", "--allow-all", "npm:vitepress", "build", "."], SITE);
}
