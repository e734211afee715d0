/** docs/numbers.md says what the tests hold the backends to. */
import { assert } from "@std/assert";
import { measured } from "./accuracy.ts";
import { numbers } from "./numbers.ts";

const mayRead = Deno.permissions.querySync({ name: "read" }).state === "granted";
const page = mayRead ? Deno.readTextFileSync(new URL("../../docs/numbers.md", import.meta.url)) : "";
const rows = page.split("\n").filter((line) => line.startsWith("|")).map((line) =>
  line.split("|").slice(1, -1).map((cell) => cell.trim())
);

/** The rows of the tables in docs/numbers.md, as cells of text: primitives of one float, and others. */
function pageRows(): { readonly ofFloat: string[][]; readonly others: string[][] } {
  const text = (value: number) =>
    Number.isNaN(value) ? "NaN" : Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "∞");
  const rows = Object.entries(numbers).map(([name, { results, rule }]) => ({
    results,
    cells: [`\`${name}\``, ...(results ?? []).map(text), rule],
  }));
  return {
    ofFloat: rows.filter(({ results }) => results).map(({ cells }) => cells),
    others: rows.filter(({ results, cells }) => !results && cells[1] !== "").map(({ cells }) => cells),
  };
}

Deno.test({
  name: "docs/numbers.md has the special values of every primitive",
  ignore: !mayRead,
  fn: () => {
    const { ofFloat, others } = pageRows();
    for (const cells of [...ofFloat, ...others]) {
      assert(
        rows.some((row) => row.join() === cells.join()),
        `docs/numbers.md has no row | ${cells.join(" | ")} |`,
      );
    }
  },
});

Deno.test({
  name: "docs/numbers.md promises the accuracy that is tested",
  ignore: !mayRead,
  fn: () => {
    for (const [name, { bound }] of Object.entries(measured)) {
      assert(
        rows.some(([function_, units]) => function_ === `\`${name}\`` && units === String(bound)),
        `docs/numbers.md has no row | \`${name}\` | ${bound} | …`,
      );
    }
  },
});
