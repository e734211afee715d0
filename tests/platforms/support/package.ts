/** The library's package for npm, which takes a minute to make: once for the same sources. */
import { makePackage } from "../../../.ci/npm.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const DIST = `${ROOT}dist/`;
const PREFIX = "package-of-sources-";

/** What goes into the package, or says how. */
const SOURCES = [
  "mod.ts",
  "src",
  "kernels",
  "formats",
  "deno.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  ".ci/npm.ts",
];

/** The files at a path, in order. */
async function filesAt(path: string): Promise<string[]> {
  if ((await Deno.stat(ROOT + path)).isFile) return [path];
  const names = (await Array.fromAsync(Deno.readDir(ROOT + path), ({ name }) => name)).sort();
  return (await Promise.all(names.map((name) => filesAt(`${path}/${name}`)))).flat();
}

async function hashOfSources(): Promise<string> {
  const paths = (await Promise.all(SOURCES.map(filesAt))).flat();
  const parts = await Promise.all(paths.map(async (path) => [path, await Deno.readTextFile(ROOT + path)]));
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 16);
}

/** The packages in a folder; none if it is not there. */
async function packagesIn(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => `${folder}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Makes the package, or finds it as another test made it of the same sources; its path. */
export async function packageOnce(): Promise<string> {
  const folder = `${DIST}${PREFIX}${await hashOfSources()}`;
  const [made] = await packagesIn(folder);
  if (made !== undefined) return made;
  await Deno.mkdir(DIST, { recursive: true });
  for await (const { name } of Deno.readDir(DIST)) {
    if (name.startsWith(PREFIX)) await Deno.remove(DIST + name, { recursive: true }); // of older sources
  }
  const own = await Deno.makeTempDir({ dir: DIST });
  await makePackage(own);
  await Deno.rename(own, folder);
  return (await packagesIn(folder))[0];
}
