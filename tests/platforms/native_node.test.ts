/** Native in Node, through either of its interfaces to C: it trains as wasm does, and says what is missing. */
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { bundleEntry } from "./support/bundles.ts";
import { findCommand, missingPermissions, runProcess, testInFolder } from "./support/requirements.ts";

const major = (version: string) => Number(/^v(\d+)\./.exec(version)?.[1]);
const compiler = await findCommand([["cc"]]);
const npm = await findCommand([["npm"]]);
const node = await findCommand([["node"], ["npx", "-y", "node@22"]], (version) => major(version) >= 22);
/** Node with an interface of its own; an older one refuses the flag. */
const withFfi = await findCommand(
  [["node", "--experimental-ffi"], ["npx", "-y", "node@26", "--experimental-ffi"]],
  (version) => major(version) >= 26,
);

function missing(...needed: readonly (readonly [found: unknown, name: string])[]): string[] {
  if (missingPermissions.length > 0) return missingPermissions;
  return needed.flatMap(([found, name]) => found ? [] : [name]);
}

/** What the process of `native_in_node.ts` says, and what it fails with. */
async function runIn(folder: string, command: readonly string[]) {
  await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ type: "module" }));
  await bundleEntry("tests/platforms/native_in_node.ts", `${folder}/native.js`);
  return await runProcess(["env", `XDG_CACHE_HOME=${folder}/cache`, "CC=cc", ...command, "native.js"], {
    cwd: folder,
    seconds: 120,
  });
}

/** Fails unless it ran and computed what wasm does. */
function assertRan({ code, signal, out, err }: Awaited<ReturnType<typeof runIn>>): void {
  assertEquals({ code, signal }, { code: 0, signal: null }, err);
  const { before, auto, explained, large, wasm, native } = JSON.parse(out);
  assertStringIncludes(before, "enableNative() of @cellfold/cellfold/native-node");
  assertEquals([auto, explained], ["native", true]);
  assert(large > 1, "squares of normal numbers");
  assertEquals([native.losses.length, native.weights.length], [3, wasm.weights.length]);
  native.losses.forEach((loss: number, at: number) => assertAlmostEquals(loss, wasm.losses[at], 1e-5));
  native.weights.forEach((weight: number, at: number) => assertAlmostEquals(weight, wasm.weights[at], 1e-4));
}

testInFolder(
  "native trains in Node through koffi",
  missing([compiler, "cc"], [npm, "npm"], [node, "Node 22"]),
  async (folder) => {
    const install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "koffi@3"];
    const { code, err } = await runProcess(install, { cwd: folder, seconds: 120 });
    assertEquals(code, 0, err);
    assertRan(await runIn(folder, node ?? []));
  },
);

testInFolder(
  "native trains in Node through node:ffi",
  missing([compiler, "cc"], [withFfi, "Node 26"]),
  async (folder) => assertRan(await runIn(folder, withFfi ?? [])),
);

testInFolder(
  "native in Node without an interface to C says how to get one",
  missing([node, "Node 22"]),
  async (folder) => {
    const { code, err } = await runIn(folder, node ?? []);
    assert(code !== 0);
    assertStringIncludes(
      err,
      "neither node:ffi nor koffi; run Node 26 or later with --experimental-ffi, or install",
    );
  },
);
