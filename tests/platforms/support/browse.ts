/**
 * A process that opens pages in a headless Chromium: `browse.ts CHROMIUM JSON`, with an array of {@linkcode Visit} in
 * and one of {@linkcode Visited} out. It is apart from the test because the browser's driver needs every permission.
 */

/** A page to open. */
export interface Visit {
  readonly url: string;
  /** Evaluated in the page; a promise is awaited. */
  readonly expression: string;
}

/** What came of it. */
export interface Visited {
  readonly value: unknown;
  /** How many workers the page has in the end. */
  readonly workers: number;
  /** Exceptions that nothing caught. */
  readonly errors: readonly string[];
}

/** The part of playwright-core that is used; it is imported by a computed name, so that checking does not download it. */
interface Playwright {
  readonly chromium: {
    launch(options: { readonly executablePath: string; readonly args: readonly string[] }): Promise<Browser>;
  };
}

interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

interface Page {
  on(event: "pageerror", listener: (error: Error) => void): void;
  goto(url: string): Promise<unknown>;
  evaluate(expression: string): Promise<unknown>;
  workers(): readonly unknown[];
  close(): Promise<void>;
}

/** What gives a page an adapter, on the processor where there is no other. */
const WEBGPU = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"];

async function visit(browser: Browser, { url, expression }: Visit): Promise<Visited> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  await page.goto(url);
  const value = await page.evaluate(expression);
  const workers = page.workers().length;
  await page.close();
  return { value, workers, errors };
}

if (import.meta.main) {
  const [executablePath, visits] = Deno.args;
  const driver = ["npm:playwright-core", "1.65.1"].join("@");
  const { chromium }: Playwright = await import(driver);
  // The sandbox wants a kernel feature that containers and root lack; only the project's own pages are opened.
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", ...WEBGPU] });
  try {
    const visited: Visited[] = [];
    for (const next of JSON.parse(visits) as Visit[]) visited.push(await visit(browser, next));
    console.log(JSON.stringify(visited));
  } finally {
    await browser.close();
  }
}
