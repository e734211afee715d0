/**
 * The code of the guide: every program on its English pages has right types and runs, and prints what the page shows.
 * Spanish pages have the same code (`languages.test.ts`).
 */
import { assert, assertEquals } from "@std/assert";
import configuration from "../../deno.json" with { type: "json" };
import { pages } from "../../site/.vitepress/pages.ts";
import { missingPermissions, runProcess } from "../platforms/support/requirements.ts";
import { isShown, type PageProgram, printedBy, programsOf } from "./support/code.ts";

const ROOT = new URL("../../", import.meta.url);
const AT_ONCE = Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));
const SECONDS = 300;

const paths = ["index", ...pages.flatMap(({ items }) => items.map(({ path }) => path))]
  .filter((path) => /^(index$|guide\/|from\/)/.test(path));

/** A page with its programs, in a folder of its own. */
interface Page {
  readonly path: string;
  readonly folder: string;
  readonly programs: readonly PageProgram[];
}

/** The library's own configuration, for programs that lie elsewhere and may be for pages of a browser. */
function configurationFor(): string {
  const imports = Object.entries(configuration.imports).map(([name, path]) =>
    [name, path.startsWith("./") ? new URL(path, ROOT).href : path] as const
  );
  const lib = ["deno.window", "dom", "dom.iterable", "dom.asynciterable", "esnext"];
  const compilerOptions = { ...configuration.compilerOptions, lib };
  return JSON.stringify({ imports: Object.fromEntries(imports), compilerOptions });
}

async function written(folder: string): Promise<Page[]> {
  await Deno.writeTextFile(`${folder}/deno.json`, configurationFor());
  await Deno.copyFile(new URL("deno.lock", ROOT), `${folder}/deno.lock`);
  return await Promise.all(paths.map(async (path) => {
    const page = {
      path,
      folder: `${folder}/${path}`,
      programs: programsOf(await Deno.readTextFile(new URL(`site/${path}.md`, ROOT))),
    };
    await Deno.mkdir(`${page.folder}/types`, { recursive: true });
    for (const { file, whole, running } of page.programs) {
      await Deno.writeTextFile(`${page.folder}/types/${file}`, whole);
      await Deno.writeTextFile(`${page.folder}/${file}`, running);
    }
    return page;
  }));
}

/** Runs the programs of a page one after another, as one may read what another wrote; gives what went wrong. */
async function faultsOf({ folder, programs }: Page): Promise<string[]> {
  const faults: string[] = [];
  const flags = [
    "--no-check",
    "--quiet",
    "--no-prompt",
    "--allow-read",
    `--allow-write=${folder}`,
    "--allow-env",
    "--allow-net=127.0.0.1",
  ];
  for (const program of programs) {
    if (program.running === "") continue;
    const command = [Deno.execPath(), "run", ...flags, program.file];
    const { code, out, err } = await runProcess(command, { cwd: folder, seconds: SECONDS });
    if (code !== 0) faults.push(`${program.file} ended with ${code}: ${err}`);
    const printed = printedBy(out);
    for (const [line, shown] of program.printed) {
      const given = printed.get(line);
      if (given === undefined || !isShown(given, shown)) {
        faults.push(
          `line ${line + 1}: the page shows\n${shown}\nand the code printed\n${
            given ?? "nothing: it did not come to its end"
          }`,
        );
      }
    }
  }
  return faults;
}

/** Does as much at once as the machine has cores for. */
async function eachOf<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await act(item);
  }));
}

Deno.test({
  name: `site: the code of the guide${
    missingPermissions.length > 0 ? ` (needs ${missingPermissions.join(", ")})` : ""
  }`,
  ignore: missingPermissions.length > 0,
  async fn(t) {
    const folder = await Deno.makeTempDir();
    try {
      const all = await written(folder);
      assert(all.some(({ programs }) => programs.length > 0));

      await t.step("its types are right", async () => {
        const files = all.flatMap(({ folder, programs }) =>
          programs.map(({ file }) => `${folder}/types/${file}`)
        );
        const command = [Deno.execPath(), "check", "--quiet", ...files];
        const { code, err } = await runProcess(command, { cwd: folder, seconds: SECONDS });
        assertEquals([code, err.replaceAll(folder, "")], [0, ""]);
      });

      const faults = new Map<string, string[]>();
      await eachOf(all, async (page) => void faults.set(page.path, await faultsOf(page)));
      for (const { path } of all) {
        await t.step(`${path} runs and prints what it shows`, () => assertEquals(faults.get(path), []));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("site: a page is compared with what its code prints", () => {
  const page = [
    "```ts",
    "const x = 1;",
    "console.log(x);",
    "```",
    "",
    "```text",
    "1",
    "```",
    "```ts no-run",
    "x();",
    "```",
  ].join("\n");
  const [program] = programsOf(page);
  assertEquals(program.printed, new Map([[3, "1"]]));
  assert(program.whole.includes("x();") && !program.running.includes("x();"));
  assertEquals(program.running.split("\n")[1], "const x = 1;");
  assertEquals(printedBy("1\n␞4\n"), new Map([[3, "1\n"]]));
  assert(isShown("a 1.5 ms\nb", "a … ms\nb"));
  assert(!isShown("a 1.5 ms\nc", "a … ms\nb"));
  assertEquals(programsOf("```ts [one.ts]\n```\n```ts [two.ts]\n```").map(({ file }) => file), [
    "one.ts",
    "two.ts",
  ]);
});
