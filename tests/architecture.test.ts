/** The house: files import each other without cycles, and folders point one way. Imports of types count. */
import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url).href;

/** From what knows nothing to what knows all; a file imports from its own line and those above it. */
const ORDER = [
  [
    "src/describe.ts",
    "src/inspect.ts",
    "src/quoted.ts",
    "src/known_names.ts",
    "src/load_once.ts",
    "src/option_names.ts",
    "src/pause.ts",
  ],
  ["src/tensor/"],
  ["src/tree/"],
  ["src/program/"],
  ["kernels/"],
  ["src/operations/"],
  ["src/derivatives/"],
  ["src/passes/"],
  ["src/transforms/"],
  ["src/scan/", "src/scan.ts"],
  ["src/options/"],
  ["src/cells/"],
  ["src/layers/"],
  ["src/models/"],
  ["src/data/"],
  ["src/training/"],
  ["mod.ts", "src/internal.ts"],
  ["formats/support/"],
  ["formats/"],
];

/**
 * The only files that know a backend, beside the backends: eager calls, what compiles, and what writes compiled models
 * as files.
 */
const KNOW_KERNELS = ["src/operations/apply.ts", "src/transforms/", "formats/standalone/"];

/** What a folder must not know, whatever the order says. */
const STRANGERS = [
  ["src/data/", "src/layers/"],
  ["src/data/", "src/models/"],
  ["src/scan/", "kernels/"],
  ["kernels/lowering/", "kernels/cpu/"],
  ["kernels/lowering/", "kernels/wasm/"],
  ["kernels/cpu/", "kernels/wasm/"],
  ["kernels/lowering/", "kernels/webgpu/"],
  ["kernels/reference/", "kernels/lowering/"],
  ["kernels/wasm/", "kernels/webgpu/"],
  ["kernels/webgpu/", "kernels/wasm/"],
];

/** Folders that know nothing of the files beside them: what writes code does not decide what is written. */
const INNERMOST = [["kernels/webgpu/wgsl/", "kernels/webgpu/"]];

interface Import {
  readonly from: string;
  readonly to: string;
}

interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted"; // execPath

/** The entry points of the formats, each with dependencies of its own. */
function formats(): string[] {
  const { exports }: { exports: Record<string, string> } = JSON.parse(
    Deno.readTextFileSync(new URL("deno.json", ROOT)),
  );
  return Object.values(exports).map((path) => path.replace("./", "")).filter((path) =>
    path.startsWith("formats/")
  );
}

async function importsOf(entry: string): Promise<Import[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-remote", new URL(entry, ROOT).href],
    env: { NO_COLOR: "1" },
  }).output();
  const { modules }: { modules: ModuleInfo[] } = JSON.parse(new TextDecoder().decode(stdout));
  const pathOf = (specifier: string) => specifier.replace(ROOT, "");
  return modules.flatMap(({ specifier, dependencies = [] }) =>
    dependencies.flatMap(({ code, type }) =>
      [code?.specifier, type?.specifier].flatMap((to) =>
        to === undefined || to.startsWith("npm:") ? [] : [{ from: pathOf(specifier), to: pathOf(to) }]
      )
    )
  );
}

/** A cycle of imports as the files on it, the first one again at the end; undefined where there is none. */
function cycleOf(imports: readonly Import[]): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) targets.set(from, [...targets.get(from) ?? [], to]);
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (finished.has(file)) return undefined;
    for (const to of targets.get(file) ?? []) {
      const cycle = visit(to, [...path, file]);
      if (cycle) return cycle;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of targets.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

/** The place of a file in the order, by its longest prefix in it. */
function rankOf(file: string): number {
  const prefixes = ORDER.flat().filter((prefix) => file.startsWith(prefix));
  const longest = prefixes.sort((a, b) => b.length - a.length)[0];
  assert(longest !== undefined, `${file} has no place in the order of folders`);
  return ORDER.findIndex((prefixes) => prefixes.includes(longest));
}

/** A package: only the formats may need any, and the entry point for Node what Node has. */
function isPackage(file: string): boolean {
  return /^(npm|jsr|node|https?):/.test(file);
}

function wrongWay({ from, to }: Import): boolean {
  const inside = (file: string, prefixes: readonly string[]) =>
    prefixes.some((prefix) => file.startsWith(prefix));
  if (isPackage(from)) return false;
  if (isPackage(to)) {
    return !inside(from, ["formats/"]) && !(inside(from, ["kernels/native/node/"]) && to.startsWith("node:"));
  }
  return rankOf(to) > rankOf(from) ||
    inside(to, ["kernels/"]) && !inside(from, ["kernels/", ...KNOW_KERNELS]) ||
    STRANGERS.some(([folder, stranger]) => from.startsWith(folder) && to.startsWith(stranger)) ||
    INNERMOST.some(([folder, around]) =>
      from.startsWith(folder) && to.startsWith(around) && !to.startsWith(folder)
    );
}

Deno.test("a cycle of imports is found", () => {
  const chain = [{ from: "a", to: "b" }, { from: "b", to: "c" }];
  assertEquals(cycleOf(chain), undefined);
  assertEquals(cycleOf([...chain, { from: "c", to: "b" }]), ["b", "c", "b"]);
});

Deno.test("an import against the order of folders is found", () => {
  assert(wrongWay({ from: "src/cells/cell.ts", to: "src/layers/layer.ts" }));
  assert(wrongWay({ from: "src/layers/rnn.ts", to: "kernels/mod.ts" }));
  assert(!wrongWay({ from: "src/layers/rnn.ts", to: "src/cells/cell.ts" }));
  assert(!wrongWay({ from: "src/operations/apply.ts", to: "kernels/reference/mod.ts" }));
  assert(wrongWay({ from: "kernels/webgpu/wgsl/matmul.ts", to: "kernels/webgpu/schedule.ts" }));
  assert(!wrongWay({ from: "kernels/webgpu/schedule.ts", to: "kernels/webgpu/wgsl/matmul.ts" }));
  assert(!wrongWay({ from: "kernels/webgpu/wgsl/matmul.ts", to: "kernels/webgpu/wgsl/writer.ts" }));
  assert(wrongWay({ from: "src/models/json.ts", to: "formats/safetensors/mod.ts" }));
  assert(wrongWay({ from: "mod.ts", to: "formats/safetensors/mod.ts" }));
  assert(wrongWay({ from: "src/data/idx.ts", to: "npm:/a@1.0.0" }));
  assert(!wrongWay({ from: "formats/onnx/wire.ts", to: "npm:/a@1.0.0" }));
  assert(!wrongWay({ from: "kernels/native/node/mod.ts", to: "node:fs" }));
  assert(wrongWay({ from: "kernels/native/node/mod.ts", to: "npm:/koffi@3" }));
  assert(wrongWay({ from: "kernels/native/cache.ts", to: "node:fs" }));
});

for (const entry of Object.values(config.exports).filter((entry) => entry !== "./mod.ts")) {
  Deno.test({
    name: `${entry} has no import cycle, and what it needs points one way` +
      (mayRun ? "" : " (needs --allow-run --allow-read)"),
    ignore: !mayRun,
    fn: async () => {
      const imports = await importsOf(entry);
      assert(imports.length > 5, "the entry is looked at");
      assertEquals(cycleOf(imports.filter(({ from }) => !isPackage(from))), undefined);
      assertEquals(imports.filter(wrongWay).map(({ from, to }) => `${from} -> ${to}`), []);
    },
  });
}

Deno.test({
  name: "the library has no import cycle, and its folders point one way" +
    (mayRun ? "" : " (needs --allow-run --allow-read)"),
  ignore: !mayRun,
  fn: async () => {
    const imports = (await Promise.all(["mod.ts", ...formats()].map(importsOf))).flat();
    assert(imports.length > 200, "the whole library is looked at");
    assertEquals(cycleOf(imports), undefined);
    assertEquals(imports.filter(wrongWay).map(({ from, to }) => `${from} -> ${to}`), []);
  },
});
