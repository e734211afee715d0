/**
 * The task `test:bare` runs without permissions what could want one: every test that asks for a permission, or whose
 * helpers do. A file that is not in its list must not.
 */
import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: ROOT }).state === "granted";

/** What of Deno needs a permission, the question for one, and the helpers that ask. */
const WANTS =
  /Deno\.(permissions|Command|env|serve|read|write|make|remove|stat|open)|"\.[\w./]*(oracle\/files|support\/(oracle|python|pages|requirements|runtime))\.ts"/;

/** All files of tests below a folder, as paths from the root. */
function testsIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) =>
    isDirectory ? testsIn(`${folder}${name}/`) : name.endsWith(".test.ts") ? [`${folder}${name}`] : []
  );
}

Deno.test({
  name: "every test that asks for a permission is run without any, too",
  ignore: !mayRead,
  fn: () => {
    const words = config.tasks["test:bare"].split(" ");
    const [, ignored] = words.find((word) => word.startsWith("--ignore="))!.split("="); // it is in the task
    const under = (file: string, places: readonly string[]) =>
      places.some((place) => file === place || file.startsWith(`${place}/`));
    const listed = words.filter((word) => word.startsWith("tests/"));
    const wanting = testsIn("tests/").filter((file) =>
      WANTS.test(Deno.readTextFileSync(new URL(file, ROOT)))
    );
    assert(wanting.length > 20, `${wanting.length} files`);
    assertEquals(
      wanting.filter((file) => !under(file, listed) || under(file, ignored.split(","))),
      [],
    );
    for (const place of [...listed, ...ignored.split(",")]) Deno.statSync(new URL(place, ROOT)); // it is there
  },
});
