/** The command `create`: what it refuses, what it makes, and that a project for Deno trains, predicts and tests. */
import { resolve } from "node:path";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { createCommand, createProject, type Template } from "@cellfold/cellfold/create";
import { templates } from "../../../formats/create/templates.ts";
import configuration from "../../../deno.json" with { type: "json" };
import { missingPermissions, runProcess, testInFolder } from "../../platforms/support/requirements.ts";
import { assertPredictions } from "../../platforms/support/waves.ts";

const TEMPLATES: readonly Template[] = ["deno", "node", "vite"];
const SECONDS = 240;
const ROOT = new URL("../../../", import.meta.url).pathname;

/** Runs Deno in a project's folder, without a terminal. */
async function deno(folder: string, ...args: readonly string[]) {
  return await runProcess([Deno.execPath(), ...args], { cwd: folder, seconds: SECONDS });
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names.sort();
}

testInFolder(
  "create refuses what it cannot make, and writes nothing then",
  missingPermissions,
  async (folder) => {
    await Deno.mkdir(`${folder}/full`);
    await Deno.writeTextFile(`${folder}/full/a.txt`, "");
    await Deno.writeTextFile(`${folder}/full/b.txt`, "");
    await Deno.writeTextFile(`${folder}/file`, "");
    const refused: readonly (readonly [args: readonly string[], message: string])[] = [
      [["full"], 'the folder has "a.txt" and 1 more, expected a new or empty one; name another'],
      [["file"], "it is a file, expected a new or empty folder; name another"],
      [["My Model"], 'the project\'s name is "My Model"'],
      [["My Model"], 'did you mean "my-model"?'],
      [["node_modules"], 'did you mean "my-model"?'],
      [["a".repeat(215)], "expected lower-case letters"],
      [[".hidden"], 'did you mean "hidden"?'],
      [["new", "--template", "vte"], 'Cannot use the template "vte": it is unknown; did you mean "vite"?'],
      [["new", "--template"], "Cannot use the option --template: it has no value, expected deno, node, vite"],
      [["new", "--template=deno", "-t", "node"], "Cannot use the option -t twice"],
      [["new", "--tempalte", "deno"], 'did you mean "--template"?'],
      [["new", "other"], 'Cannot create "new" and "other": expected one folder'],
    ];
    const before = await namesIn(folder);
    for (const [args, message] of refused) {
      const at = args.map((part, index) => index === 0 ? `${folder}/${part}` : part);
      // Messages name the folder as it was given.
      const error = await assertRejects(() => createCommand(at, { log: () => {} }), RangeError);
      assertStringIncludes(error.message.replaceAll(`${folder}/`, ""), message);
    }
    assertEquals(await namesIn(folder), before);
    const option = { tempalte: "deno" } as { template?: Template }; // what plain JavaScript may pass
    await assertRejects(() => createProject(`${folder}/new`, option), RangeError, '"template"');
  },
);

testInFolder(
  "create says what it made and what to run next, and asks nothing",
  missingPermissions,
  async (folder) => {
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    await createCommand(["--help"], { log });
    for (const template of TEMPLATES) assertStringIncludes(lines[0], `\n  ${template} `);
    await createCommand(["--", `${folder}/first`], { log });
    assertMatch(lines[1], /^Made first for deno: deno\.json, data\.ts, .*README\.md$/);
    assertEquals(lines.slice(2, 4), ["", `  cd ${folder}/first`]);
    assertEquals(lines.slice(4).map((line) => line.trim().split("  ")[0]), [
      "deno task train",
      "deno task predict",
      "deno task test",
    ]);
    const far = `${folder}/${"my models/".repeat(10)}far`;
    await createCommand([far], { log });
    assert(lines.includes(`  cd "${far}"`), lines.join("\n"));
    // A repository without a commit is as good as an empty folder.
    await Deno.mkdir(`${folder}/cloned/.git`, { recursive: true });
    assertEquals((await createProject(`${folder}/cloned`, { template: "node" })).name, "cloned");
  },
);

testInFolder(
  "projects are formatted, without faults, and begin with this version",
  missingPermissions,
  async (folder) => {
    for (const template of TEMPLATES) {
      const made = await createProject(`${folder}/for-${template}`, { template });
      assertEquals(made.template, template);
      const texts = await Promise.all(made.files.map((file) => Deno.readTextFile(`${made.folder}/${file}`)));
      const manifest = texts[made.files.findIndex((file) => /^(deno|package)\.json$/.test(file))];
      assertMatch(
        manifest,
        /"links": \[\n|"file:.*\/dist\/cellfold-cellfold-/,
      );
      assertStringIncludes(manifest, configuration.version);
      const published = templates[template]("published").files;
      assertStringIncludes(published["deno.json"] ?? published["package.json"], `^${configuration.version}"`);
      const readme = texts[made.files.indexOf("README.md")];
      for (const [command] of made.commands) assertStringIncludes(readme, command);
      for (const args of [["fmt", "--check"], ["lint"]]) {
        const { code, err } = await deno(made.folder, ...args, "--no-config", ".");
        assertEquals(code, 0, `${template}: deno ${args.join(" ")}: ${err}`);
      }
    }
  },
);

Deno.test("create: commands quote a path with spaces", () => {
  for (const template of ["node", "vite"] as const) {
    const { commands, files } = templates[template]("waves", "../my clone");
    assertEquals(commands[0][0], 'npx -y deno@2 task --cwd "../my clone" npm');
    assertStringIncludes(files["README.md"], commands[0][0]);
    assertEquals(
      templates[template]("waves", "../clone").commands[0][0],
      "npx -y deno@2 task --cwd ../clone npm",
    );
  }
});

testInFolder("a project for Deno trains, predicts and tests", missingPermissions, async (folder) => {
  const made = await createProject(`${folder}/waves`, { template: "deno" });
  const { imports, links } = JSON.parse(await Deno.readTextFile(`${made.folder}/deno.json`));
  assertEquals(imports, { "@cellfold/cellfold": `jsr:@cellfold/cellfold@^${configuration.version}` });
  assertEquals(links.map((path: string) => resolve(made.folder, path)), [resolve(ROOT)]);

  const early = await deno(made.folder, "task", "predict");
  assertEquals(early.code, 1);
  assertStringIncludes(early.err, "There is no model.safetensors yet; deno task train makes it.");

  const types = await deno(made.folder, "check");
  assertEquals(types.code, 0, types.err);
  const trained = await deno(made.folder, "task", "train");
  assertEquals(trained.code, 0, trained.err);
  assertStringIncludes(trained.out, "Wrote model.safetensors. Next: deno task predict");
  assert((await Deno.stat(`${made.folder}/model.safetensors`)).size > 0);
  const predicted = await deno(made.folder, "task", "predict");
  assertEquals(predicted.code, 0, predicted.err);
  assertPredictions(predicted.out);
  const tested = await deno(made.folder, "task", "test");
  assertEquals(tested.code, 0, `${tested.out}${tested.err}`);
  assertStringIncludes(tested.out, "2 passed");
});
