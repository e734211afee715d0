/** The page on troubleshooting has every message that an error of the library can have, with what to do. */
import * as cf from "@cellfold/cellfold";
import { fromKeras } from "@cellfold/cellfold/keras";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { decodeSafetensors, loadCheckpoint, restoreTree } from "@cellfold/cellfold/safetensors";
import { toWasm } from "@cellfold/cellfold/standalone";
import { assert, assertEquals } from "@std/assert";
import { families, familyOf, messagesByFamily } from "../../site/errors/families.ts";
import { collectMessages, type Message, patternOf } from "../../site/errors/messages.ts";

const HOUSE = new URL("../../", import.meta.url);
const ignore = Deno.permissions.querySync({ name: "read", path: HOUSE.pathname }).state !== "granted";

/** Classes that parts of a backend throw to each other, with a text that nobody sees. */
const SIGNALS = ["NoRoom", "TableFull"];

// deno-lint-ignore no-explicit-any -- what JavaScript lets one pass
const any = (value: unknown): any => value;

Deno.test({
  name: "site: every message of an error has a family, and every family has messages",
  ignore,
  fn() {
    const found = messagesByFamily(); // throws for a message without one
    assertEquals([...found.keys()].sort(), [...new Set(families.map(({ id }) => id))].sort());
  },
});

Deno.test({
  name: "site: what throws is read: no error is made in the sources by a class that is not known",
  ignore,
  async fn() {
    const known = new Set(collectMessages().map(({ by }) => by));
    for (const folder of ["src", "kernels", "formats"]) {
      for await (const { path, source } of sourcesIn(new URL(`${folder}/`, HOUSE))) {
        for (const [, name] of source.matchAll(/\bthrow new (\w+)\(/g)) {
          assert(known.has(name) || SIGNALS.includes(name), `${path} throws ${name}`);
        }
      }
    }
  },
});

async function* sourcesIn(folder: URL): AsyncGenerator<{ path: string; source: string }> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const at = new URL(isDirectory ? `${name}/` : name, folder);
    if (isDirectory) yield* sourcesIn(at);
    else if (name.endsWith(".ts")) yield { path: at.pathname, source: await Deno.readTextFile(at) };
  }
}

for (const page of ["site/guide/troubleshooting.md", "site/es/guide/troubleshooting.md"]) {
  Deno.test({
    name: `site: ${page} has each family once, with what to do`,
    ignore,
    async fn() {
      const text = await Deno.readTextFile(new URL(page, HOUSE));
      const sections = text.split(/^#{2,3} /m).slice(1).filter((section) =>
        section.includes("<!-- messages: ")
      );
      const marked = sections.map((section) => {
        const [, prose, id] = section.match(/^.*\n([\s\S]*)^<!-- messages: ([\w-]+) -->\s*$/m) ?? [];
        assert(
          id && prose.trim().length > 60,
          `a section needs causes and remedies: ${section.slice(0, 60)}`,
        );
        return id;
      });
      assertEquals(marked.sort(), [...new Set(families.map(({ id }) => id))].sort());
    },
  });
}

const model = cf.sequential([cf.lstm({ units: 2 }), cf.dense({ units: 1 })]);
const variables = cf.init(model, cf.key(0), cf.spec([null, null, 3]));
const [x, y] = [cf.ones([4, 5, 3]), cf.ones([4, 1])];
const options = { loss: "mse", optimizer: "sgd", report: "none", device: "reference" } as const;
const fit = (data: unknown, more: object = {}) =>
  cf.fit(model, variables, any(data), { ...options, ...more });

/** Mistakes, by the family whose section helps. */
const mistakes: readonly (readonly [family: string, run: () => unknown])[] = [
  ["tensors", () => cf.tensor([[1], [2, 3]])],
  ["tensors", () => cf.item(cf.ones([2]))],
  ["operations", () => cf.add(cf.ones([2]), cf.ones([3]))],
  ["tensors", () => cf.add(cf.ones([2]), any([1, 2]))],
  ["operations", () => cf.matmul(cf.ones([2, 3]), cf.ones([4, 2]))],
  ["operations", () => cf.einsum("ab,bc->ad", cf.ones([2, 3]), cf.ones([3, 2]))],
  ["trees", () => cf.treeLeaves(any({ a: 1 }))],
  ["names-and-options", () => cf.lstm(any({ units: 2, returnSequence: true }))],
  ["names-and-options", () => cf.dense({ units: 0.5 })],
  ["traced", () => cf.compile(any(async () => await Promise.resolve(x)), { device: "reference" })(x)],
  ["traced", () => cf.grad(any((a: cf.HostTensor) => cf.item(a) > 0 ? a : cf.neg(a)))(cf.tensor(1))],
  ["open-sizes", () => cf.trace((a: cf.Tensor) => cf.full([2], Number(a.shape[0]) * 2), cf.spec([null, 2]))],
  ["derivatives", () => cf.grad((a: cf.Tensor) => cf.exp(a))(cf.ones([2]))],
  ["variables", () => cf.predict(model, any({ params: [], state: [] }), x)],
  ["variables", () => cf.init(model, cf.key(0), any(undefined))],
  ["layers", () => cf.init(cf.embedding({ inputDim: 3, outputDim: 2 }), cf.key(0), x)],
  [
    "layers",
    () =>
      cf.predict(
        cf.embedding({ inputDim: 2, outputDim: 2 }),
        cf.init(cf.embedding({ inputDim: 2, outputDim: 2 }), cf.key(0), cf.spec([null, null], "int32")),
        cf.tensor([[5]], { dtype: "int32" }),
        { device: "reference" },
      ),
  ],
  ["scan", () => cf.scan(any((h: cf.Tensor) => h), cf.zeros([4, 2]), x)],
  ["stateful", () => cf.init(cf.lstm({ units: 2, stateful: true }), cf.key(0), cf.spec([null, null, 3]))],
  ["streams", () => {
    const both = cf.bidirectional(cf.lstm({ units: 2, returnSequences: true }));
    return cf.streaming(both, cf.init(both, cf.key(0), x), { device: "reference" }).push(x);
  }],
  ["generation", () => cf.generate(model, variables, { prompt: x, steps: 2, key: cf.key(0) })],
  ["models", () => cf.sequential([])],
  ["models", () => cf.model({ inputs: any(x), outputs: any(x) })],
  ["copies", () => cf.init(any({ ...cf.dense({ units: 2 }), options: { units: 3 } }), cf.key(0), x)],
  ["json", () => cf.fromJson(any({ type: "dens", options: {} }))],
  ["training-data", () => fit({ x, y: cf.ones([3, 1]) })],
  ["labels", () => fit({ x, y }, { loss: "sparseCategoricalCrossentropy" })],
  ["losses", () => fit({ x, y }, { loss: undefined })],
  ["optimizers", () => cf.sgd({ learningRate: any("fast") })],
  ["iterables", () => fit([], { epochs: 2 })],
  ["making-batches", () => cf.windows(cf.ones([3, 1]), { lookback: 10 })],
  ["callbacks", () => fit({ x, y }, { callbacks: [cf.earlyStopping({ monitor: "val_loss" })] })],
  ["training-stopped", () => fit({ x, y: cf.full([4, 1], NaN) })],
  ["choosing-a-device", () => cf.compile(cf.exp, { device: "webgpu" })(x)],
  ["safetensors", () => decodeSafetensors(new Uint8Array(4))],
  ["safetensors", () => loadCheckpoint(new Uint8Array(20))],
  ["safetensors", () => restoreTree(variables, {})],
  ["keras", () => fromKeras(new Uint8Array(4))],
  ["onnx", () => fromOnnx(new Uint8Array(4))],
  ["standalone", () => toWasm(model, variables, any({}))],
];

for (const [family, run] of mistakes) {
  Deno.test({
    name: `site: the section ${family} has the message of ${
      String(run).replaceAll(/\s+/g, " ").slice(6, 70)
    }`,
    ignore: ignore || (family === "choosing-a-device" && "gpu" in navigator), // there may be a GPU
    async fn() {
      const { message } = await thrownBy(run);
      const [nearest] = [...collectMessages()].sort((a, b) => likeness(b, message) - likeness(a, message));
      assert(likeness(nearest, message) > 14, `no message is like ${message}`);
      assertEquals(familyOf(nearest), family, `${message}\nis taken for ${nearest.text}`);
    },
  });
}

/** How many letters of a message the source says; 0 if it is another message. */
function likeness({ text, fixed }: Message, message: string): number {
  const said = [text, fixed].find((each) => patternOf(each).test(message)) ?? "";
  return said.replaceAll("…", "").length;
}

async function thrownBy(run: () => unknown): Promise<Error> {
  try {
    await run();
  } catch (error) {
    assert(error instanceof Error);
    return error;
  }
  throw new Error(`Nothing was thrown by ${run}`);
}
