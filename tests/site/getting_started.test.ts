/** The page of "Getting started" trains in a browser, with the library as the one file that its commands make. */
import { assert, assertEquals } from "@std/assert";
import { siteTest } from "./support/site.ts";

const ROOT = new URL("../../", import.meta.url);

async function bundle(): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  try {
    const args = ["task", "bundle", "--minify", "--output", file];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdout: "null" })
      .output();
    assert(success, new TextDecoder().decode(stderr));
    return await Deno.readTextFile(file);
  } finally {
    await Deno.remove(file);
  }
}

siteTest("the page of a newcomer trains, and tells waves apart", "index.html", async ({ page, at }) => {
  const guide = await Deno.readTextFile(new URL("site/guide/getting-started.md", ROOT));
  const html = /^```html \[index\.html\]\n([\s\S]*?)^```$/m.exec(guide)?.[1];
  assert(html !== undefined, "the guide has a page");
  const library = await bundle();
  await page.route("**/newcomer/**", async (route) => {
    const isLibrary = new URL(route.request().url()).pathname.endsWith("/cellfold.js");
    await route.fulfill(
      isLibrary
        ? { body: library, contentType: "text/javascript" }
        : { body: html, contentType: "text/html" },
    );
  });
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 })); // which every browser asks for
  await page.goto(at("newcomer/index.html"), { waitUntil: "load" });
  await page.waitForFunction("progress.textContent === 'Done'", undefined, { timeout: 120_000 });
  const answers = await page.locator("#answers li").allTextContents();
  assertEquals(answers.map((answer) => answer.replace(/, \d+ %$/, "")), [
    "a sine: sine",
    "a square: square",
    "a sawtooth: sawtooth",
  ]);
});
