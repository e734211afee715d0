/**
 * Exported models on other hosts: Node, a page with a strict content security policy in Chromium, a worker that has
 * no threads and cannot compile, and Python's wasmtime. All give what the device gives here, to the bit.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  dense,
  full,
  gru,
  host,
  type HostTensor,
  init,
  key,
  predict,
  sequential,
  spec,
  streaming,
  toHost,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { toWasm } from "@cellfold/cellfold/standalone";
import { browse, missingForPages, servePages } from "../../platforms/support/pages.ts";
import {
  findCommand,
  missingPermissions,
  runProcess,
  testInFolder,
} from "../../platforms/support/requirements.ts";
import { models } from "./models.ts";
import { DEVICE, inputOf, stepOf, variablesOf } from "./support.ts";

const OLDEST_NODE = 22;
const node = await findCommand(
  [["node"], ["npx", "-y", `node@${OLDEST_NODE}`]],
  (version) => Number(/^v(\d+)\./.exec(version)?.[1]) >= OLDEST_NODE,
);
/** A Python that can make an environment with packages of its own. */
const [python] = await findCommand([["python3", "-m", "ensurepip"]]) ?? [];
const missing = (found: readonly string[] | string | undefined, name: string) =>
  missingPermissions.length > 0 ? missingPermissions : found ? [] : [name];

/** The package that runs modules in Python. */
const WASMTIME = "wasmtime==50.0.1";

const exported = models["7. both ways"], stepped = models["resets"];
const SIZES = { batch: 7 }, SEEDS = [1, 2, 3, 4];

/** A model for whole sequences and one for steps, with what they give. */
async function samples() {
  const variables = variablesOf(exported);
  const x = inputOf(exported, SIZES, 1) as HostTensor; // this model has one input
  const output = await predict(exported.model, variables, x, { device: DEVICE, batchSize: SIZES.batch });
  const ofSteps = variablesOf(stepped);
  using stream = streaming(stepped.model, ofSteps, { device: DEVICE });
  const steps: { readonly given: HostTensor[]; readonly output: number[] }[] = [];
  for (const seed of SEEDS) {
    const step = stepOf(stepped, seed);
    const [output] = treeLeaves<HostTensor>(await toHost(await stream.step(step)));
    steps.push({ given: treeLeaves<HostTensor>(step), output: [...output.data] });
  }
  return {
    whole: toWasm(exported.model, variables, { input: exported.input }),
    x,
    expected: [...treeLeaves<HostTensor>(output as Tree<HostTensor>)[0].data],
    stepping: toWasm(stepped.model, ofSteps, { input: stepped.input, stream: true }),
    steps,
  };
}

type Samples = Awaited<ReturnType<typeof samples>>;

/** What JavaScript hosts evaluate, where `load`, `loadStream` and the bytes of both files are there. */
function program({ x, steps }: Samples): string {
  const given = steps.map(({ given: [resets, step] }) => ({
    resets: [...resets.data],
    steps: [...step.data],
  }));
  return `
    const predict = await load(whole);
    const output = predict({ data: Float32Array.from(${JSON.stringify([...x.data])}), shape: [${x.shape}] });
    const stream = await loadStream(stepping);
    const outputs = ${JSON.stringify(given)}.map(({ resets, steps }) =>
      [...stream.step({ resets: Uint8Array.from(resets), steps: Float32Array.from(steps) })]
    );
    const result = { output: [...output.data], outputs };
  `;
}

function assertResult({ expected, steps }: Samples, result: unknown, host: string): void {
  assertEquals(result, { output: expected, outputs: steps.map(({ output }) => output) }, host);
}

async function writeFiles(folder: string, { whole, stepping }: Samples): Promise<void> {
  await Deno.writeFile(`${folder}/whole.wasm`, whole.wasm);
  await Deno.writeTextFile(`${folder}/whole.js`, whole.loader);
  await Deno.writeFile(`${folder}/stepping.wasm`, stepping.wasm);
  await Deno.writeTextFile(`${folder}/stepping.js`, stepping.loader);
  await Deno.writeTextFile(`${folder}/package.json`, '{ "type": "module" }');
}

testInFolder(
  "toWasm in Node: the loader is a file like any other",
  missing(node, `Node ${OLDEST_NODE}`),
  async (folder) => {
    const made = await samples();
    await writeFiles(folder, made);
    const text = `
    import { readFile } from "node:fs/promises";
    import { load } from "./whole.js";
    import { load as loadStream } from "./stepping.js";
    const [whole, stepping] = [await readFile("whole.wasm"), await readFile("stepping.wasm")];
    ${program(made)}
    console.log(JSON.stringify(result));
  `;
    await Deno.writeTextFile(`${folder}/main.js`, text);
    const { code, out, err } = await runProcess([...node ?? [], "main.js"], { cwd: folder, seconds: 60 });
    assertEquals(code, 0, err);
    assertResult(made, JSON.parse(out), "Node");
  },
);

testInFolder(
  "toWasm in Chromium: a policy needs 'wasm-unsafe-eval' and nothing else",
  missingForPages,
  async (folder) => {
    const made = await samples();
    await writeFiles(folder, made);
    const policy = (sources: string) => ({ "Content-Security-Policy": `script-src ${sources}` });
    const pages = { "/strict": policy("'self' 'wasm-unsafe-eval'"), "/stricter": policy("'self'") };
    const { at, shutdown } = servePages(async (path) => {
      try {
        return await Deno.readFile(folder + path);
      } catch {
        return undefined;
      }
    }, pages);
    const expression = `(async () => {
    const bytes = async (name) => await (await fetch(name)).arrayBuffer();
    const { load } = await import("/whole.js");
    const { load: loadStream } = await import("/stepping.js");
    const [whole, stepping] = [await bytes("whole.wasm"), await bytes("stepping.wasm")];
    ${program(made)}
    return { ...result, isolated: crossOriginIsolated };
  })().catch((error) => String(error))`;
    try {
      const urls = Object.keys(pages).map((path) => ({ url: at(path), expression }));
      const [strict, stricter] = await browse(folder, urls, { seconds: 60 });
      assertEquals(strict.errors, []);
      const { isolated, ...result } = strict.value as { isolated: boolean }; // what the expression gives
      assertEquals(isolated, false, "a page without shared memory");
      assertResult(made, result, "Chromium");
      assertStringIncludes(String(stricter.value), "CompileError");
    } finally {
      await shutdown();
    }
  },
);

Deno.test("toWasm in an isolate: without threads, eval and a compiler, from compiled modules", async () => {
  const made = await samples();
  const { whole, stepping } = made;
  const text = `
    for (const name of ["SharedArrayBuffer", "Atomics", "Worker", "eval"]) delete globalThis[name];
    delete WebAssembly.compile;
    onmessage = async ({ data: { whole, stepping, loaders } }) => {
      try {
        const from = async (loader) => (await import("data:text/javascript," + encodeURIComponent(loader))).load;
        const [load, loadStream] = await Promise.all(loaders.map(from));
        ${program(made)}
        postMessage(result);
      } catch (error) {
        postMessage(String(error));
      }
    };
  `;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(text)}`, { type: "module" });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  worker.onmessage = ({ data }) => resolve(data);
  worker.postMessage({
    whole: await WebAssembly.compile(whole.wasm),
    stepping: await WebAssembly.compile(stepping.wasm),
    loaders: [whole.loader, stepping.loader],
  });
  const result = await promise;
  worker.terminate();
  assertResult(made, result, "an isolate");
});

/** Calls both files by what they export, as docs/standalone.md says. */
const PYTHON = `
import json, struct, sys
import wasmtime

class Model:
    def __init__(self, path):
        config = wasmtime.Config()
        config.wasm_relaxed_simd = config.wasm_threads = False
        self.store = wasmtime.Store(wasmtime.Engine(config))
        module = wasmtime.Module.from_file(self.store.engine, path)
        assert not module.imports, "it imports nothing"
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
    def call(self, name, *args):
        return self.exports[name](self.store, *args)
    def write(self, index, code, values):
        data = struct.pack("<%d%s" % (len(values), code), *values)
        self.exports["memory"].write(self.store, data, self.call("input", index))
    def read(self, index, count):
        start = self.call("output", index)
        data = self.exports["memory"].read(self.store, start, start + 4 * count)
        return list(struct.unpack("<%df" % count, data))

case = json.load(open("case.json"))
whole = Model("whole.wasm")
assert whole.call("prepare", 0) == 0
assert whole.call("prepare", case["batch"]) == 1
whole.write(0, "f", case["x"])
whole.call("run")
output = whole.read(0, case["count"])
stepping = Model("stepping.wasm")
outputs = []
for again in range(2):
    outputs = []
    stepping.call("reset")
    for resets, steps in case["steps"]:
        stepping.write(0, "i", resets)
        stepping.write(1, "f", steps)
        stepping.call("step")
        outputs.append(stepping.read(0, 1))
print(json.dumps({"output": output, "outputs": outputs}))
`;

testInFolder(
  "toWasm in Python: wasmtime runs the files without a loader, relaxed SIMD and threads",
  missing(python, "Python 3 with ensurepip"),
  async (folder) => {
    const made = await samples();
    await writeFiles(folder, made);
    await Deno.writeTextFile(
      `${folder}/case.json`,
      JSON.stringify({
        batch: SIZES.batch,
        count: made.expected.length,
        x: [...made.x.data],
        steps: made.steps.map(({ given }) => given.map(({ data }) => [...data])),
      }),
    );
    await Deno.writeTextFile(`${folder}/main.py`, PYTHON);
    const run = (...command: string[]) => runProcess(command, { cwd: folder, seconds: 120 });
    const own = `${folder}/venv/bin/python`;
    for (
      const command of [[python, "-m", "venv", "venv"], [
        own,
        "-m",
        "pip",
        "install",
        "--quiet",
        WASMTIME,
      ]]
    ) {
      const { code, err } = await run(...command);
      assertEquals(code, 0, err);
    }
    const { code, out, err } = await run(own, "main.py");
    assertEquals(code, 0, err);
    assertResult(made, JSON.parse(out), "wasmtime");
    await assertDocumented(folder, (file) => run(own, file));
  },
);

/** Fails unless the program in the documentation computes what the model does that it is for. */
async function assertDocumented(folder: string, run: (file: string) => ReturnType<typeof runProcess>) {
  const model = sequential([gru({ units: 16 }), dense({ units: 3, activation: "softmax" })]);
  const input = spec([null, null, 4]);
  const variables = init(model, key(0), input);
  await Deno.writeFile(`${folder}/gestures.wasm`, toWasm(model, variables, { input }).wasm);
  const page = await Deno.readTextFile(new URL("../../../docs/standalone.md", import.meta.url));
  const [, text] = page.match(/```python\n([^]*?)```/) ?? [];
  await Deno.writeTextFile(`${folder}/documented.py`, text);
  const { code, out, err } = await run("documented.py");
  assertEquals(code, 0, err);
  const { data } = host(await predict(model, variables, full([1, 10, 4], 0.5), { device: DEVICE }));
  assertEquals(Float32Array.from(JSON.parse(out.replace("(", "[").replace(")", "]"))), data);
}

testInFolder("toWasm: the types are those of the model", missingPermissions, async (folder) => {
  const nested = models["9. nested inputs"];
  const { loader, types } = toWasm(nested.model, variablesOf(nested), { input: nested.input });
  const stream = toWasm(stepped.model, variablesOf(stepped), { input: stepped.input, stream: true });
  await Deno.writeTextFile(`${folder}/nested.js`, loader);
  await Deno.writeTextFile(`${folder}/nested.d.ts`, types);
  await Deno.writeTextFile(`${folder}/stream.js`, stream.loader);
  await Deno.writeTextFile(`${folder}/stream.d.ts`, stream.types);
  await Deno.writeTextFile(`${folder}/deno.json`, '{ "compilerOptions": { "strict": true } }');
  const check = async (lines: string) => {
    const text = `
      // @ts-types="./nested.d.ts"
      import { load } from "./nested.js";
      // @ts-types="./stream.d.ts"
      import { load as loadStream } from "./stream.js";
      const predict = await load(new Uint8Array()), stream = await loadStream(new Uint8Array());
      const tensor = { data: new Float32Array(), shape: [] };
      ${lines}`;
    await Deno.writeTextFile(`${folder}/main.ts`, text);
    const { code, err } = await runProcess([Deno.execPath(), "check", "main.ts"], {
      cwd: folder,
      seconds: 60,
    });
    return code === 0 ? "" : err;
  };
  const right = `
    const first: Float32Array = predict({ i_1: tensor, i_2: tensor }).y[1].data;
    const output: Float32Array = stream.step({ steps: first, resets: new Uint8Array() });
    stream.reset();
    (await stream.createStream()).step({ steps: output, resets: new Uint8Array() });`;
  assertEquals(await check(right), "");
  assertStringIncludes(await check("predict({ i_1: tensor });"), "i_2");
  assertStringIncludes(await check("predict({ i_1: tensor, i_2: tensor }).z;"), "'z'");
  assertStringIncludes(
    await check("stream.step({ steps: new Uint8Array(), resets: new Uint8Array() });"),
    "steps",
  );
});

Deno.test("toWasm: a file imports nothing and shares no memory, and its loader stands alone", async () => {
  const { whole, stepping } = await samples();
  for (const { wasm, loader } of [whole, stepping]) {
    const module = await WebAssembly.compile(wasm);
    assertEquals(WebAssembly.Module.imports(module), []);
    const { memory } = (await WebAssembly.instantiate(module)).exports as { memory: WebAssembly.Memory }; // exported
    assert(memory.buffer instanceof ArrayBuffer);
    assert(!/\bimport\b|\beval\b|new Function/.test(loader), "the loader stands alone");
  }
});
