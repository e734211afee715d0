/**
 * The built site in a headless Chromium. Pages come from this process; a request that leaves it, an error in the console
 * and an exception that nothing caught fail the test. The tests run by `deno task test:site`, which builds the site
 * first; elsewhere they are reported as ignored.
 */
import { assertEquals } from "@std/assert";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { answer } from "../../../site/serve.ts";
import { commandPaths, findCommand, missingPermissions } from "../../platforms/support/requirements.ts";

const ROOT = new URL("../../../", import.meta.url);

/** What gives a page an adapter, on the processor where there is no other; and a microphone that beeps. */
const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan",
  "--use-webgpu-adapter=swiftshader",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];

const isAllowed =
  (["net", "sys", "ffi"] as const).every((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  ) && missingPermissions.length === 0;
const chromium = isAllowed
  ? await findCommand(commandPaths("chromium", "chromium-browser", "google-chrome"))
  : undefined;
const isBuilt = isAllowed &&
  await Deno.stat(new URL("site/.vitepress/dist/index.html", ROOT)).then(() => true, () => false);

/** What is missing for the tests of the site. */
export const missingForSite: readonly string[] = [
  ...isAllowed ? [] : ["--allow-all"],
  ...isAllowed && !chromium ? ["Chromium"] : [],
  ...isAllowed && !isBuilt ? ["`deno task site`"] : [],
];

/** A page of the site that is open. */
export interface Visit {
  readonly page: Page;
  /** The address of a page by its path, such as `demos/digit.html`. */
  readonly at: (path: string) => string;
  /** Keeps a picture as `dist/screenshots/NAME.png`. */
  readonly screenshot: (name: string) => Promise<void>;
  /** The compressed size of all that the page has loaded so far, in bytes, by path. */
  readonly loaded: () => Promise<ReadonlyMap<string, number>>;
}

/** A desktop with a light page unless told otherwise; `phone` is one of 390 by 844 pixels. */
export interface VisitOptions {
  readonly dark?: boolean;
  readonly phone?: boolean;
  /** Whether the visitor asks for less motion. */
  readonly still?: boolean;
  readonly language?: string;
  /** Whether it runs with few examples; default: on light desktops without WebGPU. */
  readonly always?: boolean;
}

/** Whether a few examples are enough: demos are then driven on wasm, on a light desktop, as WebGPU on a processor takes minutes. */
export const isFew = isAllowed && Deno.env.get("CELLFOLD_EXAMPLES") === "few";

let browser: Promise<Browser> | undefined;

async function launch(): Promise<Browser> {
  const driver = await import("playwright-core");
  return await driver.chromium.launch({ executablePath: chromium?.[0], args: FLAGS });
}

async function gzipped(bytes: Uint8Array): Promise<number> {
  const stream = new Blob([new Uint8Array(bytes)]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).arrayBuffer()).byteLength;
}

async function visit(
  path: string,
  options: VisitOptions,
  run: (visit: Visit) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  const at = (path: string) => `http://127.0.0.1:${server.addr.port}/${path}`;
  const context: BrowserContextOptions = {
    colorScheme: options.dark ? "dark" : "light",
    reducedMotion: options.still ? "reduce" : "no-preference",
    viewport: options.phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    hasTouch: options.phone,
    locale: options.language ?? "en-US",
    permissions: ["clipboard-read", "clipboard-write", "microphone"],
  };
  const opened = await (await (browser ??= launch())).newContext(context);
  try {
    const page = await opened.newPage();
    const errors: string[] = [];
    const bodies = new Map<string, Promise<number>>();
    page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
    page.on("console", (message) => {
      // A browser asks for an icon that no page names.
      const isIcon = message.location().url.endsWith("/favicon.ico");
      if (message.type() === "error" && !isIcon) errors.push(message.text());
    });
    page.on("request", (request) => {
      if (/^(https?|wss?):/.test(request.url()) && !request.url().startsWith(at(""))) {
        errors.push(`a request to ${request.url()}`);
      }
    });
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      bodies.set(pathname, response.body().then(gzipped, () => 0));
    });
    const loaded = async () =>
      new Map(await Promise.all([...bodies].map(async ([path, size]) => [path, await size] as const)));
    const screenshot = async (name: string) => {
      await page.screenshot({ path: new URL(`dist/screenshots/${name}.png`, ROOT).pathname, fullPage: true });
    };
    await page.goto(at(path), { waitUntil: "load" });
    await run({ page, at, screenshot, loaded });
    assertEquals(errors, []);
  } finally {
    await opened.close();
    await server.shutdown();
  }
}

/** A test of a page in a browser context of its own. */
export function siteTest(
  name: string,
  path: string,
  run: (visit: Visit) => Promise<void>,
  options: VisitOptions = {},
): void {
  const { always = !options.dark && !options.phone && !/webgpu/i.test(name) } = options;
  const isLeftOut = isFew && !always;
  const needs = isLeftOut ? ["more than a few examples"] : missingForSite;
  Deno.test({
    name: needs.length > 0 ? `${name} (needs ${needs.join(", ")})` : name,
    ignore: needs.length > 0,
    // The browser is shared by the tests of a file.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => visit(path, options, run),
  });
}

if (missingForSite.length === 0) {
  Deno.test.afterAll(async () => {
    await (await browser)?.close();
    browser = undefined;
  });
}
