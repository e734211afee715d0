/**
 * Writes the pictures of the guide below `public/pictures/en` and `public/pictures/es`, which are committed:
 * `deno run -A site/pictures/main.ts`. With `--check` it compares them with what is there, and writes nothing.
 */
import type { Language } from "../.vitepress/pages.ts";
import { diagramRenderer, sayIn } from "./diagram.ts";
import * as diagrams from "./diagrams.ts";
import * as masks from "./masks.ts";
import { plotsIn } from "./plots.ts";

const FOLDER = new URL("../public/pictures/", import.meta.url);

/** The pictures of what was trained. */
const TRAINED = ["landing.svg", "masked-states.svg", "states.svg", "waves-loss.svg"];

/** `firstModel` becomes `first-model.svg`. */
function fileName(name: string): string {
  return `${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.svg`;
}

/** The text of every picture in a language, by the name of its file. */
async function picturesIn(language: Language): Promise<Record<string, string>> {
  const render = await diagramRenderer();
  const say = sayIn(language);
  return Object.fromEntries([
    ...Object.entries({ ...diagrams, ...masks }).map((
      [name, diagram],
    ) => [fileName(name), render(diagram(say))]),
    ...Object.entries(await plotsIn(say)).map(([name, plot]) => [fileName(name), plot]),
  ]);
}

/**
 * Pictures as they are compared. What was trained differs a little between machines whose sums are put together in
 * another way, so numbers and colors of those are left out.
 */
function comparable(pictures: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(pictures).map(([name, text]): [string, string] => [
    name,
    TRAINED.includes(name) ? text.replaceAll(/#[0-9a-f]{3,8}|rgb\([^)]*\)|-?\d+(\.\d+)?/g, "") : text,
  ]);
  return Object.fromEntries(entries);
}

/** The names of the pictures that are not the same, or only on one side. */
function differences(
  some: Readonly<Record<string, string>>,
  others: Readonly<Record<string, string>>,
): string[] {
  return [...new Set([...Object.keys(some), ...Object.keys(others)])].filter((name) =>
    some[name] !== others[name]
  );
}

if (import.meta.main) {
  for (const language of ["en", "es"] as const) {
    const folder = new URL(`${language}/`, FOLDER);
    const pictures = await picturesIn(language);
    if (Deno.args.includes("--check")) {
      const there = [...Deno.readDirSync(folder)].map(({ name }) => [
        name,
        Deno.readTextFileSync(new URL(name, folder)),
      ]);
      const differing = differences(comparable(Object.fromEntries(there)), comparable(pictures));
      if (differing.length === 0) continue;
      console.error(
        `Cannot confirm pictures of ${language}: ${
          differing.join(", ")
        } differ; run the script without --check`,
      );
      Deno.exit(1);
    } else {
      await Deno.mkdir(folder, { recursive: true });
      for (const [name, text] of Object.entries(pictures)) {
        await Deno.writeTextFile(new URL(name, folder), text);
      }
      console.log(`${Object.keys(pictures).length} pictures in ${folder.pathname}`);
    }
  }
}
