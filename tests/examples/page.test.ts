/** docs/examples.md lists every program as it is: with its command, its picture, and no more lines than it may have. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: ROOT }).state === "granted";
const MOST_LINES = 120;

const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

/** The files of a program: itself, and what is beside it if it has a folder. */
function filesOf(path: string): string[] {
  const folder = path.replace(/[^/]*$/, "");
  if (folder === "examples/") return [path];
  return [...Deno.readDirSync(new URL(folder, ROOT))].map(({ name }) => `${folder}${name}`);
}

Deno.test({
  name: `docs/examples.md has the commands and pictures of the programs${
    mayRead ? "" : " (needs --allow-read)"
  }`,
  ignore: !mayRead,
  fn: () => {
    const page = read("docs/examples.md");
    const sections = page.split(/^## /m).slice(1);
    assertEquals(sections.length, 12);
    for (const section of sections) {
      const title = section.split("\n")[0];
      const [command] = section.match(/^deno run .*$/m) ?? [];
      assert(command !== undefined, `${title}: a command`);
      const [path] = command.match(/examples\/[\w/]+\.ts/) ?? [];
      assert(path !== undefined, `${title}: a program`);
      assertStringIncludes(read(path), ` *     ${command}\n`, "its first lines have the same command");
      assertStringIncludes(read(path), "\n * Takes about ");
      assertStringIncludes(section, `(../${path})`);
      for (const file of filesOf(path)) {
        const lines = read(file).trimEnd().split("\n").length;
        assert(lines <= MOST_LINES, `${file} has ${lines} lines, expected at most ${MOST_LINES}`);
      }
      const [, alternative, picture] = section.match(/!\[([^\]]+)\]\((pictures\/[\w-]+\.svg)\)/) ?? [];
      assert(alternative !== undefined && alternative.length > 20, `${title}: what the picture shows`);
      const svg = read(`docs/${picture}`);
      assert(svg.startsWith("<svg ") && svg.endsWith("</svg>\n") && !svg.includes("NaN"), picture);
    }
    const pictures = [...Deno.readDirSync(new URL("docs/pictures/", ROOT))].map(({ name }) => name);
    for (const name of pictures) assertStringIncludes(page, `pictures/${name}`);
  },
});
