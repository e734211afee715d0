/**
 * Pages with a content security policy, in a headless Chromium: `auto` runs on what the policy allows, says once on the
 * console what it does not, and a device that was named says what it needs.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { host, key, lstm, ones, predict } from "../../mod.ts";
import { bundleInto } from "./support/bundles.ts";
import { browse, ISOLATION, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";

const policy = (text: string) => ({ "Content-Security-Policy": text });
const WASM = "script-src 'self' 'wasm-unsafe-eval'";

interface Case {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly device: "wasm" | "reference";
  readonly threads: boolean;
  /** What the console is told, and `explain` too. */
  readonly told?: string;
  /** What a device that was named says. */
  readonly named?: string;
}

const TRUSTED = "require-trusted-types-for 'script'";
const cases: readonly Case[] = [
  { path: "/none", headers: ISOLATION, device: "wasm", threads: true },
  { path: "/not-isolated", headers: {}, device: "wasm", threads: false },
  {
    path: "/no-wasm",
    headers: { ...ISOLATION, ...policy("script-src 'self'; worker-src blob:") },
    device: "reference",
    threads: false,
    told: "wasm-unsafe-eval",
    named: "script-src 'wasm-unsafe-eval'",
  },
  {
    path: "/no-wasm-not-isolated",
    headers: policy("default-src 'self'"),
    device: "reference",
    threads: false,
    told: "wasm-unsafe-eval",
    named: "Cannot use the device wasm",
  },
  {
    path: "/no-blob",
    headers: { ...ISOLATION, ...policy(WASM) },
    device: "wasm",
    threads: false,
    told: "blob:",
  },
  {
    path: "/workers-of-its-own",
    headers: { ...ISOLATION, ...policy(`${WASM}; worker-src 'self'`) },
    device: "wasm",
    threads: false,
    told: "blob:",
  },
  {
    path: "/what-is-needed",
    headers: { ...ISOLATION, ...policy(`${WASM}; worker-src blob:`) },
    device: "wasm",
    threads: true,
  },
  {
    path: "/trusted-types",
    headers: { ...ISOLATION, ...policy(`${WASM}; worker-src blob:; ${TRUSTED}`) },
    device: "wasm",
    threads: true,
  },
  {
    path: "/trusted-types-by-name",
    headers: { ...ISOLATION, ...policy(`${WASM}; worker-src blob:; ${TRUSTED}; trusted-types cellfold`) },
    device: "wasm",
    threads: true,
  },
  {
    path: "/no-trusted-types",
    headers: { ...ISOLATION, ...policy(`${WASM}; worker-src blob:; ${TRUSTED}; trusted-types 'none'`) },
    device: "wasm",
    threads: false,
    told: "fewer threads",
  },
];

interface Found {
  readonly output: readonly number[];
  readonly total: number;
  readonly device: string;
  readonly explained: string;
  readonly warnings: readonly string[];
  readonly named: string;
}

/** A model and a product large enough for threads, twice; the warnings have a moment to come. */
const program = (told: string | undefined) =>
  `(async () => {
  const warnings = [];
  console.warn = (text) => warnings.push(text);
  const cf = await import("/cellfold.js");
  const layer = cf.lstm({ units: 16 }), x = cf.ones([8, 6, 5]);
  const variables = { params: layer.initParams(cf.key(3), x), state: [] };
  const named = await cf.predict(layer, variables, x, { device: { name: "wasm", threads: 2, shareFrom: 0 } })
    .then(() => "", (error) => error.name + ": " + error.message);
  let output = await cf.predict(layer, variables, x);
  output = await cf.predict(layer, variables, x);
  const f = await cf.compile((a) => cf.sum(cf.matmul(a, a)));
  const total = cf.item(await f(cf.ones([128, 128])));
  const until = performance.now() + 10000;
  const told = ${JSON.stringify(told ?? null)};
  while (told !== null && !(f.explain() + warnings).includes(told) && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await f(cf.ones([128, 128]));
  return { output: [...output.data], total, device: f.device, explained: f.explain(), warnings, named };
})()`;

testInFolder(
  "a page's content security policy decides what auto runs on",
  missingForPages,
  async (folder) => {
    await bundleInto(folder);
    const pages = Object.fromEntries(cases.map(({ path, headers }) => [path, headers]));
    const { at, shutdown } = servePages(
      async (path) => path.endsWith(".js") ? await Deno.readFile(folder + path) : undefined,
      pages,
    );
    const layer = lstm({ units: 16 }), x = ones([8, 6, 5]);
    const variables = { params: layer.initParams(key(3), x), state: [] };
    const expected = host(await predict(layer, variables, x, { device: "reference" })).data;
    try {
      const visited = await browse(
        folder,
        cases.map(({ path, told }) => ({ url: at(path), expression: program(told) })),
        { seconds: 240 },
      );
      for (const [index, { path, device, threads, told, named }] of cases.entries()) {
        const { value, workers, errors } = visited[index];
        const found = value as Found; // what the program evaluates to
        assertEquals(errors, [], path);
        assertEquals([found.device, found.total], [device, 128 ** 3], path);
        found.output.forEach((number, i) => assert(Math.abs(number - expected[i]) < 1e-5, path));
        if (threads) assert(workers > 0, `${path}: ${workers} workers`);
        if (told === undefined) assertEquals(found.warnings, [], path);
        else {
          const saying = found.warnings.filter((text) => text.includes(told));
          assertEquals(saying.length, 1, `${path}: ${found.warnings.join(" | ")}`);
          assertStringIncludes(found.explained, told, path);
        }
        if (named === undefined) assertEquals(found.named, "", path);
        else assertStringIncludes(found.named, named, path);
      }
    } finally {
      await shutdown();
    }
  },
);
