import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url).href;
const MOD = new URL("mod.ts", ROOT).href;

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted"; // execPath

/** A test that starts processes; without the permissions it is reported as ignored. */
function testWithProcesses(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: mayRun ? name : `${name} (needs --allow-run --allow-read)`, ignore: !mayRun, fn });
}

async function deno(args: string[], input = ""): Promise<{ code: number; out: string; err: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

testWithProcesses(
  "importing the library needs no permission, prints nothing and ends by itself",
  async () => {
    assertEquals(await deno(["run", "--no-prompt", "--cached-only", MOD]), { code: 0, out: "", err: "" });
  },
);

testWithProcesses("importing the library changes no global", async () => {
  const script = `
    const roots = () => [globalThis, Object, Array, Function, Promise, Symbol, Math, Number, String, Float32Array];
    const keys = () => roots().map((root) => [root, root.prototype].filter(Boolean).flatMap(Reflect.ownKeys).map(String));
    const before = JSON.stringify(keys());
    const { lstm } = await import(${JSON.stringify(MOD)});
    console.log(typeof lstm, JSON.stringify(keys()) === before);
  `;
  const { code, out, err } = await deno(["run", "--no-prompt", "--cached-only", "--ext=js", "-"], script);
  assertEquals([code, out, err], [0, "function true\n", ""]);
});

testWithProcesses("the library has no dependency: every module is one of its own files", async () => {
  const { code, out, err } = await deno(["info", "--json", "--no-remote", MOD]);
  assertEquals(code, 0, err);
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(out);
  const own = [`${ROOT}mod.ts`, `${ROOT}src/`, `${ROOT}kernels/`];
  const others = modules.filter(({ specifier }) => !own.some((prefix) => specifier.startsWith(prefix)));
  assertEquals(others.map(({ specifier }) => specifier), []);
  assert(modules.length > 50, "the whole library is among the modules");
});

testWithProcesses(
  "what writes WGSL and C is loaded when a Program is first compiled for webgpu or native",
  async () => {
    const { out } = await deno(["info", "--json", "--no-remote", MOD]);
    const { modules }: {
      modules: {
        specifier: string;
        dependencies?: { isDynamic?: boolean; code?: { specifier: string } }[];
      }[];
    } = JSON.parse(out);
    const inFolder = ({ specifier }: { specifier: string }) =>
      specifier.startsWith(`${ROOT}kernels/webgpu/wgsl/`) ||
      specifier.startsWith(`${ROOT}kernels/native/emit/`) ||
      specifier.startsWith(`${ROOT}kernels/native/c/`);
    assert(modules.filter(inFolder).length > 20, "both are part of the library");
    const loaded = new Set([MOD]);
    for (const file of loaded) { // files that are added are visited too
      const { dependencies = [] } = modules.find(({ specifier }) => specifier === file) ?? {};
      for (const { isDynamic, code } of dependencies) if (!isDynamic && code) loaded.add(code.specifier);
    }
    assert(loaded.size > 50, "the files of an import are followed");
    assertEquals(modules.filter((each) => inFolder(each) && loaded.has(each.specifier)), []);
  },
);
