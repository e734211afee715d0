/** docs/keras.md: every difference that it lists has a test of the name it gives. */
import { assert } from "@std/assert";

const root = new URL("../../", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read" }).state === "granted";

Deno.test({
  name: "docs/keras.md: each line names a test that is there",
  ignore: !mayRead,
  fn: () => {
    const rows = Deno.readTextFileSync(new URL("docs/keras.md", root)).split("\n")
      .filter((line) => line.startsWith("|") && !/^\| (Situation|-)/.test(line))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    assert(rows.length > 25, `${rows.length} lines`);
    for (const [situation, keras, here, test] of rows) {
      assert(situation && keras && here, `a cell is empty: ${situation}`);
      const [, file, name] = test.match(/^(tests\/[\w/.]+): (.+)$/) ?? [];
      assert(file && name, `"${situation}" names no test: ${test}`);
      assert(
        Deno.readTextFileSync(new URL(file, root)).includes(name),
        `${file} has no test "${name}", which "${situation}" names`,
      );
    }
  },
});
