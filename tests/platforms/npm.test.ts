/**
 * The package for npm, installed from its tarball: strict types, the oldest Node and its successor, and what Vite,
 * esbuild and webpack make of it, in a page and a worker. All give what the sources give here.
 */
import { assert, assertEquals } from "@std/assert";
import configuration from "../../deno.json" with { type: "json" };
import { program } from "./packaged/program.ts";
import { packageOnce } from "./support/package.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { findCommand, missingPermissions, runProcess, testInFolder } from "./support/requirements.ts";

const SOURCES = new URL("./packaged/", import.meta.url);

/** The least time for a process that installs or builds, on a machine that is busy. */
const SECONDS = 240;

/** Losses and probabilities; the order of sums differs by the number of threads. */
const TOLERANCE = 1e-5;

const NODES = [20, 22];
const platform = `${Deno.build.os === "windows" ? "win" : Deno.build.os}-${
  Deno.build.arch === "aarch64" ? "arm64" : "x64"
}`;
const nodes = NODES.map((version) => `node${version}@npm:node-${platform}@${version}`);
const TOOLS = ["esbuild@0.25", "vite@7", "webpack@5", "typescript@5.9", ...nodes];

const npm = await findCommand([["npm"]]);
const missing = missingPermissions.length > 0 ? missingPermissions : npm ? [] : ["npm"];

/** Webpack by its interface, as its command line is a package of its own. */
const WEBPACK = `
  import webpack from "webpack";
  const output = { path: import.meta.dirname + "/webpack", module: true, filename: "page.js" };
  const options = { mode: "production", entry: "./page.js", output, experiments: { outputModule: true } };
  const quick = { optimization: { minimize: false }, performance: { hints: false } };
  webpack({ ...options, ...quick }, (error, stats) => {
    if (!error && !stats.hasErrors() && !stats.hasWarnings()) return;
    console.error(error ?? stats.toString());
    process.exit(1);
  });
`;

/** Parts of the library are loaded when they are first used, for which workers have to be modules. */
const VITE = 'export default { worker: { format: "es" } };';

const PAGE = '<!doctype html><script type="module" src="./page.js"></script>';

/** A page without a build: the browser finds the package by a map. */
const MAPPED = `<!doctype html>
<script type="importmap">
  { "imports": { "@cellfold/cellfold": "/node_modules/@cellfold/cellfold/dist/mod.js" } }
</script>
<script type="module">
  import { program } from "./program.js";
  globalThis.result = program().then((values) => [values]);
</script>`;

type Run = (...command: readonly string[]) => Promise<string>;

/** Runs commands in a folder; each has to succeed. */
function runIn(folder: string): Run {
  return async (...command) => {
    const { code, out, err } = await runProcess(command, { cwd: folder, seconds: SECONDS });
    assertEquals(code, 0, `${command.join(" ")}: ${out}${err}`);
    return out;
  };
}

/** A project that has the package, the tools, and the program. */
async function install(folder: string, run: Run): Promise<void> {
  const tarball = await packageOnce();
  await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ type: "module" }));
  await run(
    ...npm ?? [],
    "install",
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    tarball,
    ...TOOLS,
  );
  for await (const { name } of Deno.readDir(SOURCES)) {
    await Deno.copyFile(new URL(name, SOURCES), `${folder}/${name}`);
  }
  await Deno.writeTextFile(`${folder}/index.html`, PAGE);
  await Deno.writeTextFile(`${folder}/mapped.html`, MAPPED);
  await Deno.writeTextFile(`${folder}/webpack.js`, WEBPACK);
  await Deno.writeTextFile(`${folder}/vite.config.js`, VITE);
}

/** Compiles the program with all that the compiler can find fault with, by both ways of finding packages. */
async function compile(run: Run): Promise<void> {
  const strict = ["--strict", "--skipLibCheck", "false", "--target", "es2022"];
  const options = [...strict, "--lib", "es2023,dom,dom.iterable", "--rewriteRelativeImportExtensions"];
  const files = ["node.ts", "page.ts", "worker.ts"];
  const tsc = ["node", "node_modules/typescript/bin/tsc", ...options, ...files];
  await run(...tsc, "--module", "esnext", "--moduleResolution", "bundler", "--noEmit");
  await run(...tsc, "--module", "nodenext");
}

function assertNear(actual: readonly number[], expected: readonly number[], host: string): void {
  assertEquals(actual.length, expected.length, host);
  const difference = Math.max(...actual.map((value, index) => Math.abs(value - expected[index])));
  assert(difference <= TOLERANCE, `${host}: ${actual}, expected ${expected}`);
}

testInFolder("the npm package: strict types, Node, bundlers", missing, async (folder, t) => {
  const run = runIn(folder);
  const expected = await program();
  await install(folder, run);
  await t.step("tsc --strict", () => compile(run));
  for (const version of NODES) {
    await t.step(`Node ${version}`, async () => {
      const out = await run(`node_modules/node${version}/bin/node`, "node.js");
      const { names, values } = JSON.parse(out);
      const entries = Object.keys(configuration.exports).map((name) => name.replace(".", configuration.name));
      const modules = await Promise.all(entries.map((entry) => import(entry)));
      assertEquals(names, modules.map((module) => Object.keys(module).sort()));
      assertNear(values, expected, `Node ${version}`);
    });
  }
  await t.step("esbuild", async () => {
    const entries = ["page.js", "worker.js", "--bundle", "--minify", "--format=esm", "--outdir=esbuild"];
    await run("node_modules/.bin/esbuild", ...entries, "--log-level=warning");
  });
  await t.step("Vite", async () => {
    const options = ["--base=./", "--outDir=vite", "--logLevel=warn"];
    await run("node", "node_modules/vite/bin/vite.js", "build", ...options);
  });
  await t.step("webpack", async () => {
    await run("node", "webpack.js");
  });
  await t.step({
    name: "their pages in Chromium, and one without a build",
    ignore: missingForPages.length > 0,
    fn: () => visitAll(folder, expected),
  });
});

async function visitAll(folder: string, expected: readonly number[]): Promise<void> {
  for (const built of ["esbuild", "webpack"]) {
    await Deno.writeTextFile(`${folder}/${built}/index.html`, PAGE);
  }
  const { at, shutdown } = servePages(async (path) => {
    try {
      return await Deno.readFile(folder + path);
    } catch {
      return undefined;
    }
  }, {});
  try {
    const paths = ["/esbuild/index.html", "/vite/index.html", "/webpack/index.html", "/mapped.html"];
    const visits = paths.map((path) => ({ url: at(path), expression: "globalThis.result" }));
    for (const [index, { value, errors }] of (await browse(folder, visits, { seconds: SECONDS })).entries()) {
      assertEquals(errors, []);
      const all = value as readonly number[][]; // what the pages give
      assertEquals(all.length, index < 3 ? 2 : 1, paths[index]);
      for (const values of all) assertNear(values, expected, paths[index]);
    }
  } finally {
    await shutdown();
  }
}
