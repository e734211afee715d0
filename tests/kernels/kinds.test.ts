/**
 * In how many files a kind of thing is said: what has to be touched to add one like it. A file counts if its code names
 * the thing, in an identifier or as a string, but for imports and calls, which only use it; prose does not count.
 * Each language that code is written in (WebAssembly, WGSL, C) has one of them, and derivatives have one.
 */
import { assert } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** The code of every file of the library, by path. */
const sources = new Map<string, string>();

function read(folder: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) read(`${folder}${name}/`);
    else if (name.endsWith(".ts")) {
      sources.set(`${folder}${name}`, codeOf(Deno.readTextFileSync(new URL(`${folder}${name}`, ROOT))));
    }
  }
}

/** A file without comments, imports, and strings that are sentences. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*/g, "").replace(/^import [^;]*;/gm, "")
    .replace(/"[^"\n]* [^"\n]*"/g, '""');
}

/** The files that name something, other than by calling it. */
function filesNaming(name: string): string[] {
  return [...sources].flatMap(([path, code]) => new RegExp(`\\b${name}\\b(?!\\()`).test(code) ? [path] : []);
}

const canRead = Deno.permissions.querySync({ name: "read" }).state === "granted";
if (canRead) { for (const folder of ["src/", "kernels/"]) read(folder); }

function assertAtMost(most: number, name: string): void {
  const files = filesNaming(name);
  console.log(`${name} is named in ${files.length} files: ${files.join(", ")}`);
  assert(files.length > 0, `${name} is nowhere`);
  assert(files.length <= most, `${name} is named in ${files.length} files, expected at most ${most}`);
}

Deno.test("a file counts if it names a thing, not if it calls it or speaks of it", () => {
  const names = (code: string) => /\bgather\b(?!\()/.test(codeOf(code));
  assert(names('case "gather":') && names("export { gather, iota };") && names("{ gather: { lower } }"));
  assert(!names('import { gather } from "./indexing.ts";\n') && !names("return gather(table, tokens);"));
  assert(!names("/** gather */") && !names("f(); // gather") && !names('throw new Error("use gather here")'));
});

Deno.test({
  name: "an operation with a kernel of its own is said in at most 9 files",
  ignore: !canRead,
  fn: () => assertAtMost(9, "gather"),
});

Deno.test({
  name:
    "an elementwise operation is said in at most 8 files, whether processors have it or a formula computes it",
  ignore: !canRead,
  fn() {
    for (const name of ["lessEqual", "expm1", "log1p", "erf"]) assertAtMost(8, name);
  },
});
