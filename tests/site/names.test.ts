/** What the tables of the pages for those who come from another library call ours is exported. */
import * as display from "@cellfold/cellfold/display";
import * as cf from "@cellfold/cellfold";
import * as keras from "@cellfold/cellfold/keras";
import * as onnx from "@cellfold/cellfold/onnx";
import * as safetensors from "@cellfold/cellfold/safetensors";
import * as tfjs from "@cellfold/cellfold/tfjs";
import * as torch from "@cellfold/cellfold/torch";
import { assert, assertEquals } from "@std/assert";

const SITE = new URL("../../site/", import.meta.url);
const ignore = Deno.permissions.querySync({ name: "read", path: SITE.pathname }).state !== "granted";

const exported = new Set(
  [cf, display, keras, onnx, safetensors, tfjs, torch].flatMap((entry) => Object.keys(entry)),
);

/** Options and methods that a table may name alone, in code. */
const parts = new Set(["resume", "optimizerState", "update", "trainOnBatch"]);

/** The code in the second column of the tables, whose head is the library's name. */
function namedCode(page: string): readonly string[] {
  const tables = page.match(/^\|.*\| Cellfold *\|\n(?:\|.*\|\n)+/gm) ?? [];
  return tables.flatMap((table) =>
    table.trim().split("\n").slice(2).flatMap((row) => {
      const [, , ours] = row.split(/(?<!\\)\|/);
      return [...ours.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
    })
  );
}

/** The names that code uses as functions, or that it consists of. */
function namesIn(code: string): readonly string[] {
  if (/^[A-Za-z]\w*$/.test(code)) return parts.has(code) || code === "false" ? [] : [code];
  return [...code.matchAll(/(?<![.\w])([A-Za-z]\w*)\(/g)].map(([, name]) => name);
}

for (const page of ["keras", "pytorch", "tensorflow-js"]) {
  for (const folder of ["", "es/"]) {
    Deno.test({
      name: `site: every name in the tables of ${folder}from/${page} is exported`,
      ignore,
      async fn() {
        const code = namedCode(await Deno.readTextFile(new URL(`${folder}from/${page}.md`, SITE)));
        const names = code.flatMap(namesIn);
        assert(names.length > 40, `only ${names.length} names were found`);
        assertEquals(names.filter((name) => !exported.has(name)), []);
      },
    });
  }
}
