/**
 * The package `create-cellfold`, as npm runs it: projects for Node and Vite are made, installed with the library's
 * package, trained, tested and built; the page of Vite's build trains in Chromium.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makeCreatePackage } from "../../.ci/npm.ts";
import { packageOnce } from "./support/package.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { findCommand, missingPermissions, runProcess, testInFolder } from "./support/requirements.ts";
import { assertPredictions } from "./support/waves.ts";

/** The least time for a process that installs, trains or builds, on a machine that is busy. */
const SECONDS = 240;

const npm = await findCommand([["npm"]]);
const missing = missingPermissions.length > 0 ? missingPermissions : npm ? [] : ["npm"];
const QUIET = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

/** Runs a command in a folder; it has to succeed. */
async function run(folder: string, ...command: readonly string[]): Promise<string> {
  const { code, out, err } = await runProcess(command, { cwd: folder, seconds: SECONDS });
  assertEquals(code, 0, `${command.join(" ")}: ${out}${err}`);
  return out;
}

/** Clicks the button of Vite's page; what the page says when the button can be clicked again, and the examples. */
const TRAIN = `new Promise((resolve) => {
  const button = document.querySelector("#train");
  button.click();
  const wait = () => {
    if (button.disabled) return setTimeout(wait, 100);
    const examples = [...document.querySelectorAll("figure")];
    resolve({
      progress: document.querySelector("#progress").textContent,
      captions: examples.map((figure) => figure.querySelector("figcaption").textContent),
      points: examples.map((figure) => figure.querySelector("polyline").points.length),
      isolated: crossOriginIsolated,
    });
  };
  wait();
})`;

testInFolder("npm create cellfold: projects for Node and Vite", missing, async (folder, t) => {
  const [manager] = npm ?? [];
  const [library, create] = [await packageOnce(), await makeCreatePackage(folder)];
  await Deno.writeTextFile(`${folder}/package.json`, "{}");
  await run(folder, manager, "install", "--ignore-scripts", ...QUIET, create);
  const command = "node_modules/.bin/create-cellfold";

  await t.step("it is one package without dependencies, and says what it refuses", async () => {
    const tree = JSON.parse(await run(folder, manager, "ls", "--all", "--json"));
    assertEquals(Object.keys(tree.dependencies), ["create-cellfold"]);
    assertEquals(tree.dependencies["create-cellfold"].dependencies, undefined);
    assertStringIncludes(await run(folder, command, "--help"), "--template NAME");
    const refused = await runProcess([command, "Bad"], { cwd: folder, seconds: SECONDS });
    assertEquals([refused.code, refused.out], [1, ""]);
    assertMatch(refused.err, /^Cannot create "Bad": [^\n]*did you mean "bad"\?\n$/);
  });

  await t.step("Node: trains, predicts and tests", async () => {
    const said = await run(folder, command, "waves"); // the template that suits Node
    assertStringIncludes(said, "Made waves for node: package.json, ");
    const project = `${folder}/waves`;
    await run(project, manager, "install", ...QUIET, library);
    const early = await runProcess([manager, "run", "predict"], { cwd: project, seconds: SECONDS });
    assertEquals(early.code, 1);
    assertStringIncludes(early.err, "There is no model.safetensors yet; npm run train makes it.");
    assertStringIncludes(await run(project, manager, "run", "train"), "Wrote model.safetensors.");
    assertPredictions(await run(project, manager, "run", "predict"));
    assertMatch(await run(project, manager, "test"), /^(#|ℹ) pass 2$/m);
  });

  await t.step("Vite: tests, checks types and builds", async () => {
    await run(folder, command, "page", "--template", "vite");
    const project = `${folder}/page`;
    await run(project, manager, "install", ...QUIET, library);
    assertMatch(await run(project, manager, "test"), /Tests +2 passed/);
    await run(project, manager, "run", "build");
    const html = await Deno.readTextFile(`${project}/dist/index.html`);
    assertMatch(html, /<script type="module"[^>]* src="\.\/assets\/[^"]+\.js">/);
  });

  await t.step({
    name: "Vite's page trains and predicts in Chromium",
    ignore: missingForPages.length > 0,
    fn: async () => {
      const { at, shutdown } = servePages(async (path) => {
        try {
          return await Deno.readFile(`${folder}/page/dist${path}`);
        } catch {
          return undefined;
        }
      }, {});
      try {
        const [{ value, errors }] = await browse(
          folder,
          [{ url: at("/index.html"), expression: TRAIN }],
          { seconds: SECONDS },
        );
        assertEquals(errors, []);
        const { progress, captions, points, isolated } = value as {
          readonly progress: string;
          readonly captions: readonly string[];
          readonly points: readonly number[];
          readonly isolated: boolean;
        }; // what TRAIN gives
        assert(isolated);
        assertEquals(
          progress.match(/^epoch \d+\/20 {2}loss: .* {2}val_accuracy: [\d.]+$/gm)?.length,
          20,
          progress,
        );
        assertEquals(points, Array(9).fill(48));
        const right = captions.filter((caption) => /^a (\w+) wave: \1, \d+ %$/.test(caption));
        assert(right.length >= 7, captions.join("\n"));
      } finally {
        await shutdown();
      }
    },
  });
});
