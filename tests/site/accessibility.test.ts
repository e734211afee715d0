/** Every page by axe-core, light and dark, in both languages: nothing serious, and the page reads on a phone. */
import { assert, assertEquals } from "@std/assert";
import { pages } from "../../site/.vitepress/pages.ts";
import { siteTest } from "./support/site.ts";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

const paths = ["index.html", ...pages.flatMap(({ items }) => items.map(({ path }) => `${path}.html`))];
const all = [...paths, ...paths.map((path) => `es/${path}`)];
/** The text of axe-core; a computed name, so that checking does not download it. */
const AXE = ["npm:axe-core", "4.14.1"].join("@");

for (const dark of [false, true]) {
  siteTest(
    `axe-core finds nothing serious on any page, ${dark ? "dark" : "light"}`,
    "index.html",
    async ({ page, at }) => {
      const found: string[] = [];
      const { default: { source } }: { default: { source: string } } = await import(AXE);
      for (const path of all) {
        await page.goto(at(path), { waitUntil: "load" });
        await page.addScriptTag({ content: source });
        const violations = await page.evaluate(
          "axe.run(document).then(({ violations }) => violations)",
        ) as Violation[];
        for (const { id, impact, help, nodes } of violations) {
          if (["serious", "critical"].includes(impact)) {
            found.push(`${path}: ${id} (${help}) at ${nodes[0].html}`);
          }
        }
      }
      assertEquals(found, []);
    },
    { dark, still: true },
  );
}

siteTest("no page is wider than a phone", "index.html", async ({ page, at }) => {
  for (const path of all) {
    await page.goto(at(path), { waitUntil: "load" });
    const width = await page.evaluate("document.documentElement.scrollWidth") as number;
    assert(width <= 390, `${path} is ${width} pixels wide`);
  }
}, { phone: true });
