/** The guide and the reference are linked with each other, and both ends are there. */
import { assert, assertEquals } from "@std/assert";
import { linked, mentions } from "../../site/reference.ts";

const ROOT = new URL("../../", import.meta.url);
const BUILT = new URL("site/.vitepress/dist/reference/", ROOT);

const mayRead = Deno.permissions.querySync({ name: "read", path: ROOT.pathname }).state === "granted";

Deno.test({
  name: "site: what the guide links to in the reference is an export",
  ignore: !mayRead,
  async fn() {
    const names = [...(await Deno.readTextFile(new URL("docs/names.md", ROOT))).matchAll(/^\| `(\w+)/gm)].map(
      ([, name]) => name,
    );
    const targets = [...(await mentions()).keys()];
    assert(targets.length > 5, `${targets.length} links`);
    for (const target of targets.filter((target) => target !== "index.html")) {
      const [, name] = /^(?:[\w-]+\/)?~\/(\w+)\.html$/.exec(target) ?? [];
      assert(name !== undefined && names.includes(name), `${target} is no export of docs/names.md`);
    }
  },
});

Deno.test("site: a page of the reference leads to the guide", () => {
  const source = new URL("src/layers/rnn.ts", ROOT).href.replaceAll("/", "&#x2F;");
  const html = `<ul class="breadcrumbs"></ul><main class="symbolGroup"><a href="${source}"></a>` +
    "import { rnn } from &quot;.&quot;; import { fromKeras } from &quot;keras&quot;</main>";
  const page = linked(html, "~/rnn.html", [{ path: "guide/own-cell", name: "Your own cell" }]);
  assert(page.includes('href="../../index.html"'));
  assert(page.includes('href="../../guide/own-cell.html"') && page.includes("Your own cell"));
  assert(page.includes('href="https://github.com/cellfold/cellfold/blob/main/src/layers/rnn.ts"'));
  assert(page.includes("import { rnn } from &quot;@cellfold/cellfold&quot;"));
  assert(linked(html, "keras/~/fromKeras.html").includes("from &quot;@cellfold/cellfold/keras&quot;"));
  assert(linked(html, "index.html").includes('href="../index.html"'));
});

const isBuilt = mayRead && await Deno.stat(BUILT).then(() => true, () => false);

Deno.test({
  name: `site: both ends of the links between guide and reference are there${
    isBuilt ? "" : " (needs `deno task site`)"
  }`,
  ignore: !isBuilt,
  async fn() {
    const missing: string[] = [];
    for (const [target, from] of await mentions()) {
      const text = await Deno.readTextFile(new URL(target, BUILT)).catch(() => undefined);
      if (text === undefined) missing.push(target);
      else {
        if (text.includes("file:")) missing.push(`a link into this machine in ${target}`);
        for (const { path } of from) if (!text.includes(`${path}.html`)) missing.push(`${path} in ${target}`);
      }
    }
    assertEquals(missing, []);
  },
});
