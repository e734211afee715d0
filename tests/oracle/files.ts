/** The oracle's files on disk: those of this repository, which are compressed, and those of any folder. */
import { gunzip, isGzip } from "../../src/data/gzip.ts";
import { type OracleFile, parseOracle } from "./format.ts";

/** The folder of this repository's cases; its README says where their figures come from. */
export const casesFolder: URL = new URL("./cases/", import.meta.url);

/** Whether these cases may be read here; tests that need them are ignored where they may not. */
export const mayReadCases: boolean =
  Deno.permissions.querySync({ name: "read", path: casesFolder }).state === "granted";

async function readText(path: string | URL): Promise<string> {
  const bytes = await Deno.readFile(path);
  return new TextDecoder().decode(isGzip(bytes) ? await gunzip(bytes) : bytes);
}

/** The names of a folder's files, those that end in `.json` or `.json.gz`. */
function oracleFiles(folder: string | URL): string[] {
  return [...Deno.readDirSync(folder)]
    .filter(({ name, isFile, isSymlink }) => /\.json(\.gz)?$/.test(name) && (isFile || isSymlink))
    .map(({ name }) => name)
    .sort();
}

/** The groups of this repository's cases. */
export function groupNames(): string[] {
  return oracleFiles(casesFolder).map((name) => name.replace(/\..*$/, ""));
}

/** The text of one group of this repository's cases. */
export function readGroup(group: string): Promise<string> {
  return readText(new URL(`${group}.json.gz`, casesFolder));
}

/** All files of a folder, a path or a URL that ends in a slash, by name. */
export function readOracle(folder: string | URL): Promise<OracleFile[]> {
  const fileNamed = (name: string) => folder instanceof URL ? new URL(name, folder) : `${folder}/${name}`;
  return Promise.all(
    oracleFiles(folder).map(async (name) => parseOracle(await readText(fileNamed(name)), name)),
  );
}
