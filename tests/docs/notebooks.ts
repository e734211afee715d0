/**
 * Writes the notebooks of `docs/notebooks` from their sources: `deno run -A tests/docs/notebooks.ts`. Outputs are kept
 * where the code of a notebook is still the same; with `--execute` all are run by Jupyter and have new ones.
 */
import configuration from "../../deno.json" with { type: "json" };
import { findJupyter } from "./support/jupyter.ts";
import {
  cellsOf,
  importMap,
  importsIn,
  type Language,
  LANGUAGES,
  type Notebook,
  notebookOf,
  type Output,
  outputsOf,
  type SourceCell,
  textOf,
} from "./support/notebook.ts";

/** Where the notebooks are. */
export const FOLDER = new URL("../../docs/notebooks/", import.meta.url);

/** The sources, by the names of the notebooks. */
export async function readSources(): Promise<ReadonlyMap<string, readonly SourceCell[]>> {
  const sources = new Map<string, readonly SourceCell[]>();
  const folder = new URL("source/", FOLDER);
  for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    sources.set(name.replace(/\.ts$/, ""), cellsOf(await Deno.readTextFile(new URL(name, folder)), name));
  }
  return sources;
}

/** The path of a notebook below {@linkcode FOLDER}. */
export function pathOf(name: string, language: Language): string {
  return `${language}/${name}.ipynb`;
}

/** A notebook or settings as a file. */
export function printed(content: object, indentation = 1): string {
  return `${JSON.stringify(content, undefined, indentation)}\n`;
}

/** The settings that make notebooks of a clone run with its sources. */
export function settings(sources: ReadonlyMap<string, readonly SourceCell[]>): string {
  const specifiers = [...new Set([...sources.values()].flatMap(importsIn))].sort();
  return printed({ imports: importMap(specifiers, configuration.imports) }, 2);
}

const codeOf = ({ cells }: Notebook) =>
  cells.filter(({ cell_type }) => cell_type === "code").map(({ source }) => textOf(source)).join("\n");

/** The outputs that a notebook has, if its code is that of another one. */
async function keptOutputs(path: string, like: Notebook): Promise<(readonly Output[])[]> {
  try {
    const notebook: Notebook = JSON.parse(await Deno.readTextFile(new URL(path, FOLDER)));
    return codeOf(notebook) === codeOf(like) ? outputsOf(notebook) : [];
  } catch {
    return []; // there is none
  }
}

/** Runs all notebooks, each where it is; their outputs by path. */
export async function execute(
  paths: readonly string[],
  jupyter: { run(paths: readonly string[], to: string): Promise<void> },
): Promise<ReadonlyMap<string, (readonly Output[])[]>> {
  const folder = await Deno.makeTempDir();
  try {
    await Promise.all(LANGUAGES.map(async (language) => {
      const own = paths.filter((path) => path.startsWith(`${language}/`));
      await jupyter.run(
        own.map((path) => decodeURIComponent(new URL(path, FOLDER).pathname)),
        `${folder}/${language}`,
      );
    }));
    const outputs = new Map<string, (readonly Output[])[]>();
    for (const path of paths) {
      outputs.set(path, outputsOf(JSON.parse(await Deno.readTextFile(`${folder}/${path}`))));
    }
    return outputs;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<void> {
  const sources = await readSources();
  await Deno.writeTextFile(new URL("deno.json", FOLDER), settings(sources));
  const notebooks = [...sources].flatMap(([name, cells]) =>
    LANGUAGES.map((language) => ({ path: pathOf(name, language), cells, language }))
  );
  for (const { path, cells, language } of notebooks) {
    await Deno.mkdir(new URL(`${language}/`, FOLDER), { recursive: true });
    const outputs = await keptOutputs(path, notebookOf(cells, language));
    await Deno.writeTextFile(new URL(path, FOLDER), printed(notebookOf(cells, language, outputs)));
  }
  if (!args.includes("--execute")) return;
  const jupyter = await findJupyter();
  if ("missing" in jupyter) throw new Error(`Cannot run the notebooks: they need ${jupyter.missing}`);
  const outputs = await execute(notebooks.map(({ path }) => path), jupyter);
  for (const { path, cells, language } of notebooks) {
    await Deno.writeTextFile(new URL(path, FOLDER), printed(notebookOf(cells, language, outputs.get(path))));
  }
}

if (import.meta.main) await main(Deno.args);
