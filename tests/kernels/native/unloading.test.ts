/** Shared objects stay loaded for the threads that run them, whatever the host does with its own handles. */
import { assertEquals } from "@std/assert";
import { missing } from "./backends.ts";

const PROGRAM = `
import { matmul, ones, trace } from "@cellfold/cellfold";
import { createNative } from "${import.meta.resolve("../../../kernels/native/mod.ts")}";
const libraries = [], { dlopen } = Deno;
Deno.dlopen = (path, symbols) => {
  const library = dlopen(path, symbols);
  libraries.push({ path, close: library.close.bind(library) });
  return library;
};
const backend = createNative({ threads: 2, shareFrom: 0 }, "2 threads");
const x = ones([64, 64]);
const { program } = trace((a) => matmul(a, a), x);
const executable = await backend.compile(program, { donate: [false], keep: [false] });
for (let call = 0; call < 3; call++) await executable.run([x]);
const loaded = () => libraries.map(({ path }) => Deno.readTextFileSync("/proc/self/maps").includes(path));
const before = loaded();
if (Deno.args[0] === "dispose") executable[Symbol.dispose]();
else for (const { close } of libraries) close();
await new Promise((resolve) => setTimeout(resolve, 100)); // threads look for work once more
console.log(JSON.stringify([before, loaded()]));
`;

Deno.test("native: what threads run stays loaded until they have left it", {
  ignore: missing !== undefined || Deno.build.os !== "linux",
}, async () => {
  for (const way of ["dispose", "close"]) {
    const path = await Deno.makeTempFile({ suffix: ".js" });
    await Deno.writeTextFile(path, PROGRAM);
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, path, way],
    }).output();
    await Deno.remove(path);
    const text = new TextDecoder();
    assertEquals(code, 0, text.decode(stderr));
    const [before, after] = JSON.parse(text.decode(stdout));
    assertEquals(before, [true, true], "the runtime and a Program");
    assertEquals(after, [true, way === "close"], way);
  }
});
