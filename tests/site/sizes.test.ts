/** What a visitor loads before a demo can begin: at most 300 kB compressed, without its model. */
import { assert } from "@std/assert";
import { pages } from "../../site/.vitepress/pages.ts";
import { siteTest } from "./support/site.ts";

const MOST_BYTES = 300_000;

for (const { path } of pages.flatMap(({ items }) => items).filter(({ path }) => path.startsWith("demos/"))) {
  siteTest(`${path} is loaded in 300 kB beside its model`, `${path}.html`, async ({ page, loaded }) => {
    await page.locator('.demo[data-ready="true"]').first().waitFor({ timeout: 60_000 });
    const files = [...await loaded()].filter(([path]) => !path.includes("/models/"));
    const bytes = files.reduce((sum, [, size]) => sum + size, 0);
    console.log(`${path}: first load ${Math.round(bytes / 1000)} kB`);
    assert(bytes <= MOST_BYTES, files.map(([path, size]) => `${path} ${size}`).join("\n"));
  });
}
