/**
 * Writes the reference of all entry points below `public/reference/`, as `deno doc` has it, and links it with the guide:
 * every page leads back to the site, and a symbol to the pages of the guide that link to it.
 */
import { pages } from "./.vitepress/pages.ts";

const SITE = new URL("./", import.meta.url);
const HOUSE = new URL("../", SITE);
const SOURCES = "https://github.com/cellfold/cellfold/blob/main/";
const OUTPUT = new URL("public/reference/", SITE);

/** What makes the pages of `deno doc` read on a phone. */
const STYLE = `<style>@media (max-width: 800px) {
  .ddoc #content, .ddoc #topnav > div { display: block; }
  .ddoc #topnav { height: auto; }
  .ddoc #searchbar { max-width: 100%; }
  .ddoc main { min-width: 0; overflow-wrap: anywhere; }
  .ddoc pre, .ddoc table { max-width: calc(100vw - 3rem); overflow-x: auto; }
}</style>`;

/** A page of the guide that links to a symbol. */
interface Mention {
  readonly path: string;
  readonly name: string;
}

/** The pages of the guide that link to a page of the reference, by the path of that page. */
export async function mentions(): Promise<Map<string, Mention[]>> {
  const found = new Map<string, Mention[]>();
  for (const { path, name } of pages.flatMap(({ items }) => items)) {
    const text = await Deno.readTextFile(new URL(`${path}.md`, SITE));
    for (
      const target of new Set([...text.matchAll(/\]\(\/reference\/([^)#]+)/g)].map(([, target]) => target))
    ) {
      found.set(target, [...found.get(target) ?? [], { path, name: name.en }]);
    }
  }
  return found;
}

/** A page of the reference with links to the guide and to the sources; `path` is where it lies below the reference. */
export function linked(html: string, path: string, mentioned: readonly Mention[] = []): string {
  if (/<meta http-equiv="refresh"/.test(html)) return html; // it only leads to another page
  const [, entry = ""] = /^([\w-]+)\//.exec(path) ?? []; // none for symbols of the main one, which lie below ~
  const up = "../".repeat(path.split("/").length);
  const [crumbs, main] = ['<ul class="breadcrumbs">', /<main[^>]*>/.exec(html)?.[0]];
  if (!html.includes(crumbs) || main === undefined) {
    throw new Error(
      `Cannot link the reference: ${path} has no breadcrumbs or no main part, which deno doc used to write`,
    );
  }
  const links = mentioned.map(({ path, name }) =>
    `<a href="${up}${path}.html" class="contextLink">${name}</a>`
  );
  const inGuide = links.length === 0
    ? ""
    : `<p style="margin-bottom: 1rem">In the guide: ${links.join(", ")}</p>`;
  return html
    .replace(
      crumbs,
      `${crumbs}<li><a href="${up}index.html" class="contextLink">Guide and demos</a></li><span>/</span>`,
    )
    .replace(main, main + inGuide)
    .replace("</head>", `<link rel="icon" type="image/svg+xml" href="${up}icon.svg">${STYLE}</head>`)
    .replaceAll(
      `from &quot;${entry || "."}&quot;`,
      `from &quot;@cellfold/cellfold${entry && `/${entry}`}&quot;`,
    )
    .replaceAll(/href="file:([^"]*)"/g, (_, address: string) => `href="${sourceOf(address)}"`);
}

/** A file of this checkout in the repository. */
function sourceOf(address: string): string {
  const file = `file:${address.replaceAll("&#x2F;", "/")}`;
  if (!file.startsWith(HOUSE.href)) {
    throw new Error(`Cannot link the reference: ${file} is no file of this repository`);
  }
  return SOURCES + file.slice(HOUSE.href.length);
}

/** The paths of all pages below a folder. */
async function* htmlBelow(folder: string, prefix = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder + prefix)) {
    if (isDirectory) yield* htmlBelow(folder, `${prefix}${name}/`);
    else if (name.endsWith(".html")) yield prefix + name;
  }
}

/** Writes the reference; `deno` runs this Deno with arguments in a folder. */
export async function writeReference(
  deno: (args: readonly string[], cwd: URL) => Promise<void>,
): Promise<void> {
  const config: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", HOUSE)),
  );
  const entries = Object.entries(config.exports).filter(([name]) => name !== "./internal").map(([, path]) =>
    path
  );
  await Deno.remove(OUTPUT, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await deno(["doc", "--html", "--name=Cellfold", `--output=${OUTPUT.pathname}`, ...entries], HOUSE);
  const mentioned = await mentions();
  for (const path of await Array.fromAsync(htmlBelow(OUTPUT.pathname))) {
    const file = OUTPUT.pathname + path; // no URL, as names have percent signs in them
    await Deno.writeTextFile(file, linked(await Deno.readTextFile(file), path, mentioned.get(path)));
  }
}
