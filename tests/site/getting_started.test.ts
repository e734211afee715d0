/**
 * The pages of "Getting started" train, save and load in a browser, with the library as the files that its commands make.
 */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { Buffer } from "node:buffer";
import { siteTest } from "./support/site.ts";

const ROOT = new URL("../../", import.meta.url);

/** What the task makes of the library, by the path in its folder. */
async function library(): Promise<ReadonlyMap<string, string>> {
  const folder = await Deno.makeTempDir();
  try {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["task", "page", folder],
      cwd: ROOT,
      stdout: "null",
    });
    const { success, stderr } = await command.output();
    assert(success, new TextDecoder().decode(stderr));
    return new Map(await filesIn(folder, ""));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function filesIn(folder: string, path: string): Promise<[string, string][]> {
  const entries = await Array.fromAsync(Deno.readDir(`${folder}/${path}`));
  const files = await Promise.all(entries.map(async ({ name, isDirectory }): Promise<[string, string][]> => {
    const own = `${path}${name}`;
    if (isDirectory) return await filesIn(folder, `${own}/`);
    return [[own, await Deno.readTextFile(`${folder}/${own}`)]];
  }));
  return files.flat();
}

/** Serves the pages of the guide in the folder `newcomer`, with the library, and with files of a model by name. */
async function serve(page: Page, models: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const guide = await Deno.readTextFile(new URL("site/guide/getting-started.md", ROOT));
  const pages = new Map([...guide.matchAll(/^```html \[(.*)\]\n([\s\S]*?)^```$/gm)].map(([, name, html]) => [
    name,
    html,
  ]));
  const modules = await library();
  await page.route("**/newcomer/**", async (route) => {
    const path = new URL(route.request().url()).pathname.split("/newcomer/")[1];
    const [html, code] = [pages.get(path), modules.get(path.replace("cellfold/", ""))];
    const model = models.get(path);
    if (html !== undefined) await route.fulfill({ body: html, contentType: "text/html" });
    else if (code !== undefined) await route.fulfill({ body: code, contentType: "text/javascript" });
    else if (model !== undefined) await route.fulfill({ body: Buffer.from(model) });
    else await route.fulfill({ status: 404 });
  });
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 })); // which every browser asks for
}

siteTest(
  "a newcomer's page trains and saves, and another one loads it",
  "index.html",
  async ({ page, at }) => {
    const models = new Map<string, Uint8Array>();
    await serve(page, models);
    await page.goto(at("newcomer/index.html"), { waitUntil: "load" });
    await page.waitForFunction("progress.textContent === 'Done'", undefined, { timeout: 120_000 });
    const answers = () => page.locator("#answers li").allTextContents();
    assertEquals((await answers()).map((answer) => answer.replace(/, \d+ %$/, "")), [
      "a sine: sine",
      "a square: square",
      "a sawtooth: sawtooth",
    ]);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    assertEquals(download.suggestedFilename(), "waves.safetensors");
    models.set("waves.safetensors", await Deno.readFile(await download.path()));

    const kinds = ["sine", "square", "sawtooth"];
    await page.goto(at("newcomer/use.html"), { waitUntil: "load" });
    await page.waitForFunction("answers.children.length === 3");
    assertEquals(await answers(), kinds, "from the cache");

    assertEquals(await page.evaluate("caches.delete('models')"), true);
    await page.goto(at("newcomer/use.html"), { waitUntil: "load" });
    await page.waitForFunction("answers.children.length === 3");
    assertEquals(await answers(), kinds, "from the file that was downloaded");

    await page.addInitScript("delete window.caches"); // as on http at any other address than this machine's
    await page.goto(at("newcomer/use.html"), { waitUntil: "load" });
    await page.waitForFunction("answers.children.length === 3");
    assertEquals(await page.evaluate("typeof caches"), "undefined");
    assertEquals(await answers(), kinds, "without a cache");
  },
);
