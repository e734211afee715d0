/** Every page by axe-core, light and dark, in both languages: nothing serious, and the page reads on a phone. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { pages } from "../../site/.vitepress/pages.ts";
import { isFew, siteTest } from "./support/site.ts";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

const english = ["index.html", ...pages.flatMap(({ items }) => items.map(({ path }) => `${path}.html`))];
const spanish = english.map((path) => `es/${path}`);
/** The text of axe-core; a computed name, so that checking does not download it. */
const AXE = ["npm:axe-core", "4.14.1"].join("@");

/** What axe-core finds on a page, once what is on it is ready. */
async function violationsOf(page: Page, source: string): Promise<readonly Violation[]> {
  if (page.url().includes("/demos/")) {
    await page.locator('.demo[data-ready="true"]').first().waitFor({ timeout: 60_000 });
  }
  await page.addScriptTag({ content: source });
  return await page.evaluate("axe.run(document).then(({ violations }) => violations)");
}

// The pages of both languages are made alike, so one is looked at in the light and one in the dark; where a few examples
// are enough, a page in one of the two.
for (
  const [name, paths, dark] of [["English, light", english, false], ["Spanish, dark", spanish, true]] as const
) {
  siteTest(`axe-core finds nothing serious on any page: ${name}`, "index.html", async ({ page, at }) => {
    const { default: { source } }: { default: { source: string } } = await import(AXE);
    const found: string[] = [];
    for (const path of isFew ? paths.filter((_, index) => index % 2 === Number(dark)) : paths) {
      await page.goto(at(path), { waitUntil: "load" });
      for (const { id, impact, help, nodes } of await violationsOf(page, source)) {
        if (!["serious", "critical"].includes(impact)) continue;
        found.push(`${path}: ${id} (${help}) at ${nodes[0].html}`);
      }
    }
    assertEquals(found, []);
  }, { dark, still: true, always: true });
}

siteTest("no page is wider than a phone", "index.html", async ({ page, at }) => {
  for (const path of [...english, ...spanish]) {
    await page.goto(at(path), { waitUntil: "load" });
    const width = await page.evaluate("document.documentElement.scrollWidth") as number;
    assert(width <= 390, `${path} is ${width} pixels wide`);
  }
}, { phone: true, always: true });
