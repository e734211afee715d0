/** The pages of both languages belong together: the same files, headings of the same levels, and the same code. */
import { assertEquals } from "@std/assert";
import { pages } from "../../site/.vitepress/pages.ts";

const SITE = new URL("../../site/", import.meta.url);

const mayRead = Deno.permissions.querySync({ name: "read", path: SITE.pathname }).state === "granted";

/** The parts of a page that do not depend on its language. */
function skeleton(text: string): { readonly levels: readonly string[]; readonly code: readonly string[] } {
  const blocks = [...text.matchAll(/^```(\S*).*\n([\s\S]*?)^```$/gm)].map(([, kind, body]) =>
    `${kind}\n${withoutComments(body)}`
  );
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  const included = [...prose.matchAll(/^<<< (.*?)(?: \[.*\])?$/gm)].map(([, path]) => path);
  return {
    levels: [...prose.matchAll(/^#+(?= )/gm)].map(([level]) => level),
    code: [...blocks, ...included],
  };
}

/** Comments are in the language of the page. */
function withoutComments(code: string): string {
  return code.replaceAll(/\s*(\/\/|# ).*$/gm, "");
}

for (const path of ["index", ...pages.flatMap(({ items }) => items.map(({ path }) => path))]) {
  Deno.test({
    name: `site: ${path} is the same page in Spanish`,
    ignore: !mayRead,
    async fn() {
      const [english, spanish] = await Promise.all(
        ["", "es/"].map((folder) => Deno.readTextFile(new URL(`${folder}${path}.md`, SITE))),
      );
      assertEquals(skeleton(spanish), skeleton(english));
    },
  });
}
