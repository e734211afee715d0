/** The pictures of the guide are what `site/pictures/main.ts` writes, and every page shows those of its language. */
import { assert, assertEquals } from "@std/assert";
import { missingPermissions, runProcess } from "../platforms/support/requirements.ts";
import { pages } from "../../site/.vitepress/pages.ts";

const ROOT = new URL("../../", import.meta.url);
const SITE = new URL("site/", ROOT);

const isInstalled = missingPermissions.length === 0 &&
  await Deno.stat(new URL("node_modules/@viz-js/viz", SITE)).then(() => true, () => false);
const missing = [...missingPermissions, ...isInstalled ? [] : ["`deno task site`"]];

Deno.test({
  name: `site: pictures are what their script draws${
    missing.length > 0 ? ` (needs ${missing.join(", ")})` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const command = [Deno.execPath(), "run", "-A", "--no-check", "pictures/main.ts", "--check"];
    const { code, err } = await runProcess(command, { cwd: SITE.pathname, seconds: 300 });
    assertEquals([code, code === 0 ? "" : err], [0, ""]);
  },
});

const mayRead = Deno.permissions.querySync({ name: "read", path: SITE.pathname }).state === "granted";

Deno.test({
  name: "site: pages show pictures of their language, each with its words",
  ignore: !mayRead,
  async fn() {
    const shown = new Set<string>();
    for (const path of ["index", ...pages.flatMap(({ items }) => items.map(({ path }) => path))]) {
      for (const language of ["en", "es"]) {
        const page = new URL(`${language === "en" ? "" : "es/"}${path}.md`, SITE);
        for (
          const [, alt, of, file] of (await Deno.readTextFile(page)).matchAll(
            /!\[(.*)\]\(\/pictures\/(\w+)\/(.*?)\)/g,
          )
        ) {
          assertEquals(of, language, `${path} shows ${file}`);
          assert(alt.length > 20, `${path} says too little of ${file}: "${alt}"`);
          await Deno.stat(new URL(`public/pictures/${of}/${file}`, SITE));
          shown.add(file);
        }
      }
    }
    const drawn = [...Deno.readDirSync(new URL("public/pictures/en/", SITE))].map(({ name }) => name);
    assertEquals(drawn.filter((name) => name !== "landing.svg").sort(), [...shown].sort()); // that one is in front matter
  },
});
