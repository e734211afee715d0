/**
 * The notebooks are what tests/docs/notebooks.ts writes from their sources, and Jupyter runs them in Deno's kernel:
 * no cell fails, and each displays what its code says.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { missingPermissions } from "../platforms/support/requirements.ts";
import { execute, FOLDER, pathOf, readSources, settings } from "./notebooks.ts";
import { findJupyter, type Jupyter } from "./support/jupyter.ts";
import { messagesOf } from "./support/messages.ts";
import {
  cellsOf,
  kindsOf,
  LANGUAGES,
  type Notebook,
  notebookOf,
  type Output,
  outputsOf,
  type SourceCell,
  textOf,
} from "./support/notebook.ts";

const jupyter = await findJupyter();
const suffix = "missing" in jupyter ? ` (needs ${jupyter.missing})` : "";
const ignore = "missing" in jupyter;
const mayRead = missingPermissions.length === 0;

const codesOf = (cells: readonly SourceCell[]) =>
  cells.flatMap((cell) => cell.kind === "code" ? [cell.code] : []);

async function readNotebook(path: string): Promise<Notebook> {
  return JSON.parse(await Deno.readTextFile(new URL(path, FOLDER)));
}

Deno.test("a source has all its prose in both languages, and code between it", () => {
  const both = "/*# en\n# One\n\ntwo\nlines\n*/\n/*# es\n# Uno\n\ndos\nlíneas\n*/\n";
  assertEquals(cellsOf(`${both}let x = 1;\n\n${both}x;\n`, "a.ts"), [
    { kind: "markdown", prose: { en: "# One\n\ntwo lines", es: "# Uno\n\ndos líneas" } },
    { kind: "code", code: "let x = 1;" },
    { kind: "markdown", prose: { en: "# One\n\ntwo lines", es: "# Uno\n\ndos líneas" } },
    { kind: "code", code: "x;" },
  ]);
  assertThrows(() => cellsOf("/*# en\nOne\n*/\nx;", "a.ts"), SyntaxError, "prose in one language alone");
  assertThrows(() => cellsOf("/*# es\nUno\n*/\n/*# en\nOne\n*/", "a.ts"), SyntaxError, "prose in es where");
});

Deno.test({
  name: "the notebooks are what tests/docs/notebooks.ts writes, with what they display",
  ignore: !mayRead,
  fn: async () => {
    const sources = await readSources();
    assert(sources.size >= 9);
    assertEquals(await Deno.readTextFile(new URL("deno.json", FOLDER)), settings(sources));
    for (const language of LANGUAGES) {
      const files = [...Deno.readDirSync(new URL(`${language}/`, FOLDER))].map(({ name }) => name);
      assertEquals(files.sort(), [...sources.keys()].map((name) => `${name}.ipynb`));
      for (const [name, cells] of sources) {
        const notebook = await readNotebook(pathOf(name, language));
        const outputs = outputsOf(notebook);
        assertEquals(notebook, notebookOf(cells, language, outputs), pathOf(name, language));
        codesOf(cells).forEach((code, index) =>
          checkOutputs(code, outputs[index], `${pathOf(name, language)}, code ${index + 1}`)
        );
      }
    }
  },
});

/** What the code of a cell lets one expect of its outputs, and what they have to claim. */
function checkOutputs(code: string, outputs: readonly Output[], where: string): void {
  const kinds = kindsOf(outputs);
  assert(!kinds.includes("error"), where);
  assertEquals(kinds.filter((kind) => kind === "stream").length > 0, code.includes("console.log("), where);
  for (const { output_type, text } of outputs) {
    if (output_type !== "stream") continue;
    for (const [, number] of textOf(text).matchAll(/^largest difference: (.*)$/gm)) {
      assert(Math.abs(Number(number)) < 1e-6, `${where}: ${textOf(text)}`);
    }
  }
  const displays = outputs.filter(({ output_type }) => output_type === "display_data");
  assertEquals(
    displays.length,
    code.includes("cellReport()") ? 1 : 0,
    `${where}: a report is one cell, kept up to date`,
  );
  for (const { data = {} } of displays) {
    const epochs = /epochs: (\d+)/.exec(code)?.[1];
    const line = textOf(data["text/plain"]);
    assert(line.startsWith(`epoch ${epochs}/${epochs}  loss: `), `${where}: ${line}`);
    assertMatch(
      textOf(data["text/html"]),
      /^<pre style="[^"]+">epoch .*<\/pre><img alt="[^"]+" src="data:image\/svg\+xml,/,
    );
    checkImproved(code, line, where);
  }
  const results = outputs.filter(({ output_type }) => output_type === "execute_result");
  const shown = /^show\((?:.|\n )*\n?\);$(?![^])/m.exec(code)?.[0];
  assertEquals(results.length, shown === undefined ? 0 : 1, where);
  for (const { data = {} } of results) {
    assert(textOf(data["text/plain"]) !== "", where);
    const svg = textOf(data["image/svg+xml"]);
    const html = textOf(data["text/html"]);
    if (/^show\(\s*(plot|history)/.test(shown ?? "")) assertMatch(svg, /^<svg [^]*<\/svg>\n$/);
    else assertMatch(html, /<(table|pre style="[^"]+")>/);
    assert(!/NaN/.test(svg + html), where);
  }
}

/** What a model of a notebook has to reach, that chance or a constant does not. */
const BOUNDS: readonly (readonly [task: string, log: string, isGood: (value: number) => boolean])[] = [
  ["makeSentences(", "val_accuracy", (accuracy) => accuracy > 0.9], // by chance: 0.54
  ["makeDigits(", "val_accuracy", (accuracy) => accuracy > 0.9], // by chance: 0.1
  ["makeSums(", "val_loss", (loss) => loss < 0.17 / 2], // the variance of the sum: 2/12
  ["x: film", "loss", (loss) => loss < 1 / 16 / 2], // the variance of the mean of 16 numbers
  ["batchSize: 16", "loss", (loss) => loss < (0.5 + 0.125) / 10], // the variance of the two waves
];

function checkImproved(code: string, line: string, where: string): void {
  const found = BOUNDS.find(([task]) => code.includes(task));
  assert(found, `${where}: no bound`);
  const [, log, isGood] = found;
  const value = new RegExp(` ${log}: (\\S+)`).exec(line)?.[1];
  assert(value !== undefined && isGood(Number(value)), `${where}: ${line}`);
}

Deno.test({
  name: `the notebooks run in Deno's kernel, and display what they have in them${suffix}`,
  ignore,
  fn: async () => {
    const sources = await readSources();
    const paths = [...sources.keys()].flatMap((name) => LANGUAGES.map((language) => pathOf(name, language)));
    const executed = await execute(paths, jupyter as Jupyter); // else it is ignored
    for (const [name, cells] of sources) {
      const codes = codesOf(cells);
      for (const language of LANGUAGES) {
        const path = pathOf(name, language);
        const [given, now] = [outputsOf(await readNotebook(path)), executed.get(path) ?? []];
        assertEquals(now.length, codes.length, path);
        codes.forEach((code, index) => {
          checkOutputs(code, now[index], `${path}, code ${index + 1}`);
          assertEquals(kindsOf(given[index]), kindsOf(now[index]), `${path} is run anew with --execute`);
        });
      }
    }
  },
});

/** A cell that trains for three epochs, with a display for each step and epoch. */
const TRAIN = `
import * as cf from "jsr:@cellfold/cellfold";
import { cellReport } from "jsr:@cellfold/cellfold/display";
const model = cf.dense({ units: 1 });
const data = { x: cf.ones([4, 1]), y: cf.zeros([4, 1]) };
const options = { loss: "mse", optimizer: "sgd", epochs: 3, batchSize: 2 } as const;
await cf.fit(model, cf.init(model, cf.key(0), data.x), data, { ...options, report: cellReport({ interval: 0 }) });
`;

Deno.test({
  name: `in Deno's kernel, cellReport displays once, and updates that${suffix}`,
  ignore,
  fn: async () => {
    const messages = await messagesOf(jupyter as Jupyter, FOLDER, TRAIN); // else it is ignored
    const types = messages.map(({ type }) => type);
    assertEquals(types[0], "display_data");
    assertEquals(types.slice(1), Array(types.length - 1).fill("update_display_data"));
    assertEquals(new Set(messages.map(({ display }) => display)).size, 1);
    const lines = messages.map(({ text }) => text);
    // Two steps and an end of each of three epochs; what is shown when depends on nothing but the interval of 0.
    assertEquals(lines.length, 9, lines.join("\n"));
    assertMatch(lines[0], /^epoch 1\/3 ████████████░░░░░░░░░░░░ 1\/2 {2}loss: /);
    assertMatch(lines[8], /^epoch 3\/3 {2}loss: [\d.]+$/);
  },
});
