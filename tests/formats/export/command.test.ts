/** The command `export`: files of every format with models become files for other programs, or an error says why not. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  bidirectional,
  call,
  dense,
  embedding,
  gru,
  type HostTensor,
  init,
  input,
  key,
  type Layer,
  lstm,
  model,
  predict,
  sequential,
  type Spec,
  spec,
  tensor,
  type Tree,
} from "@cellfold/cellfold";
import { exportFile } from "@cellfold/cellfold/export";
import { toKeras } from "@cellfold/cellfold/keras";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import { encodeSafetensors, saveCheckpoint } from "@cellfold/cellfold/safetensors";
import { toTfjs } from "@cellfold/cellfold/tfjs";
import { toC, type WeightFormat } from "@cellfold/cellfold/standalone";
import { missingPermissions, testInFolder } from "../../platforms/support/requirements.ts";
import { legacyFile } from "../keras/legacy_file.ts";
import { maskedModels, maskOf, predictionOf } from "../standalone/masked_models.ts";
import type { Exported } from "../standalone/models.ts";
import { assertSame, DEVICE, inputOf, moduleOf, variablesOf } from "../standalone/support.ts";

/** Runs the command over files in memory. */
async function run(files: Readonly<Record<string, Uint8Array>>, ...args: string[]) {
  const written = new Map<string, Uint8Array>();
  const lines: string[] = [];
  await exportFile(args, {
    read: (path) =>
      files[path] ? Promise.resolve(files[path]) : Promise.reject(new Error(`there is no ${path}`)),
    write: (path, content) => Promise.resolve(void written.set(path, content)),
    log: (line) => lines.push(line),
  });
  return { written, text: lines.join("\n") };
}

const reader = sequential([
  embedding({ inputDim: 20, outputDim: 4 }),
  gru({ units: 5, returnSequences: true }),
  dense({ units: 3 }),
]);
const tokens = spec([null, null], "int32");
const variables = init(reader, key(1), tokens);
const checkpoint = saveCheckpoint({ model: reader, variables });

/** Fails unless the written module predicts what the model does. */
async function assertPredicts(written: ReadonlyMap<string, Uint8Array>, base: string, one: {
  readonly model: Layer;
  readonly variables: Parameters<typeof predict>[1];
  readonly input: Tree<Spec>;
}) {
  const loader = new TextDecoder().decode(written.get(`${base}.js`));
  const { load } = await moduleOf<(x: unknown) => unknown>(loader);
  const x = inputOf({ ...one, sizes: [] }, { batch: 3, time: 6, N: 3 }, 1);
  const expected = await predict(one.model, one.variables, x, { device: DEVICE });
  assertSame((await load(written.get(`${base}.wasm`)))(x), expected as Tree<HostTensor>, base);
}

Deno.test("export: a checkpoint as a module, its input found by its weights", async () => {
  const { written, text } = await run(
    { "some/reader.safetensors": checkpoint },
    "some/reader.safetensors",
    "--to",
    "wasm",
  );
  assertEquals([...written.keys()], ["some/reader.wasm", "some/reader.js", "some/reader.d.ts"]);
  assertStringIncludes(text, `some/reader.wasm: ${written.get("some/reader.wasm")?.length} bytes`);
  assertStringIncludes(new TextDecoder().decode(written.get("some/reader.d.ts")), "int32[batch, time]");
  await assertPredicts(written, "some/reader", { model: reader, variables, input: tokens });
});

Deno.test("export: other formats and inputs", async () => {
  const x = input([null, 4], { name: "x" });
  const graph = model({ inputs: x, outputs: call(bidirectional(lstm({ units: 3 })), x) });
  const ofGraph = init(graph, key(2), spec([null, null, 4]));
  const layers = sequential([lstm({ units: 3 }), dense({ units: 2 })]);
  const ofLayers = init(layers, key(3), spec([null, null, 4]));
  const onnx = toOnnx(layers, ofLayers, { input: spec([null, null, 4]) });
  const files = {
    "graph.safetensors": saveCheckpoint({ model: graph, variables: ofGraph }),
    "layers.keras": await toKeras(layers, ofLayers, { input: spec([null, null, 4]) }),
    "layers.onnx": onnx,
  };
  const graphs = await run(files, "graph.safetensors", "--to=wasm", "--output", "out/graph.wasm");
  await assertPredicts(graphs.written, "out/graph", {
    model: graph,
    variables: ofGraph,
    input: spec([null, null, 4]),
  });
  const keras = await run(files, "layers.keras", "--to", "wasm", "--batch", "3", "--name", "digits");
  await assertPredicts(keras.written, "layers", {
    model: layers,
    variables: ofLayers,
    input: spec([3, null, 4]),
  });
  assertStringIncludes(new TextDecoder().decode(keras.written.get("layers.d.ts")), "the model digits");
  const read = fromOnnx(onnx);
  const fromFile = await run(files, "layers.onnx", "--to", "wasm");
  await assertPredicts(fromFile.written, "layers", { ...read, input: spec([null, null, 4]) });
  const toFile = await run(files, "layers.keras", "--to", "onnx", "--output", "other");
  assertEquals(fromOnnx(toFile.written.get("other.onnx") ?? new Uint8Array()).inputs.length, 1);
});

Deno.test("export: a stream, and an input that is told", async () => {
  const files = { "reader.safetensors": checkpoint };
  const { written } = await run(
    files,
    "reader.safetensors",
    "--to",
    "wasm",
    "--stream",
    "--input",
    "batch,time:int32",
  );
  assertStringIncludes(new TextDecoder().decode(written.get("reader.d.ts")), "createStream");
  assertStringIncludes(new TextDecoder().decode(written.get("reader.d.ts")), "int32[1]");
});

Deno.test("export: C, as a source and a header, with the names that are asked for", async () => {
  const { written } = await run(
    { "reader.safetensors": checkpoint },
    ...["reader.safetensors", "--to", "c", "--name", "words", "--output", "made/words.c", "--stream"],
  );
  assertEquals([...written.keys()], ["made/words.c", "made/words.h"]);
  const [source, header] = [...written.values()].map((bytes) => new TextDecoder().decode(bytes));
  assertStringIncludes(source, '#include "words.h"');
  assertStringIncludes(header, "void words_step(words_state *state, const int32_t *input, float *output);");
});

Deno.test("export: C with weights in fewer bits", async () => {
  const sizes = new Map<string, number>();
  for (const weights of ["float32", "float16", "int8"]) {
    const { written } = await run(
      { "reader.safetensors": checkpoint },
      ...["reader.safetensors", "--to", "c", "--weights", weights, "--name", "words"],
    );
    const source = new TextDecoder().decode(written.get("words.c"));
    const { source: expected, bytes } = toC(reader, variables, {
      input: tokens,
      name: "words",
      weights: weights as WeightFormat,
    });
    assertEquals(source, expected);
    sizes.set(weights, bytes.constants);
  }
  const [whole = 0, half = 0, byte = 0] = sizes.values();
  assert(whole > half && half > byte, `${[...sizes]}`);
});

Deno.test("export: a whole-model HDF5 file and a model of TensorFlow.js with its files beside it are read", async () => {
  const config = [{
    class_name: "Dense",
    config: { name: "dense", units: 2, use_bias: false, batch_input_shape: [null, 3] },
  }];
  const layers = { dense: { "dense/kernel:0": [3, 2] } };
  const old = await legacyFile({ config: { class_name: "Sequential", config }, layers });
  const written = await run({ "models/old.h5": old }, "models/old.h5", "--to", "onnx");
  assertEquals([...written.written.keys()], ["models/old.onnx"]);
  const small = sequential([lstm({ units: 2 })]);
  const steps = spec([null, null, 3]);
  const files = await toTfjs(small, init(small, key(0), steps), { input: steps });
  const inFolder = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`web/${name}`, bytes]));
  const { written: onnx } = await run(inFolder, "web/model.json", "--to", "onnx");
  assertEquals([...onnx.keys()], ["web/model.onnx"]);
});

Deno.test("export: into a folder, under the name of the file or of the model", async () => {
  const written = async (...args: string[]) => {
    const files = { "some/my reader.safetensors": checkpoint };
    return [...(await run(files, "some/my reader.safetensors", ...args)).written.keys()];
  };
  assertEquals(await written("--to", "onnx", "--output", "made/"), ["made/my reader.onnx"]);
  assertEquals(await written("--to", "c", "--output", "made/"), ["made/my_reader.c", "made/my_reader.h"]);
  assertEquals(await written("--to", "c", "--output=/", "--name", "n"), ["/n.c", "/n.h"]);
});

Deno.test("export: masks, of the one input or of inputs by their names", async () => {
  const one = maskedModels["a mask of lstm"], two = maskedModels["a mask of one of two sequences"];
  const files = {
    "one.safetensors": saveCheckpoint({ model: one.model, variables: variablesOf(one) }),
    "two.safetensors": saveCheckpoint({ model: two.model, variables: variablesOf(two) }),
  };
  const cases: readonly (readonly [args: string, exported: Exported, sizes: Record<string, number>])[] = [
    ["one.safetensors --to wasm --mask batch,time", one, { batch: 5, time: 4 }],
    ["one.safetensors --to wasm --mask=batch,time:bool --input batch,time,3", one, { batch: 5, time: 4 }],
    ["two.safetensors --to wasm --mask source=batch,time", two, { batch: 5, source: 4, target: 4 }],
  ];
  for (const [args, exported, sizes] of cases) {
    const { written } = await run(files, ...args.split(" "));
    const [wasm, loader] = [...written.values()];
    const { load } = await moduleOf<(x: unknown, mask: unknown) => unknown>(new TextDecoder().decode(loader));
    const x = inputOf(exported, sizes, 1), mask = maskOf(exported, sizes, 1);
    const expected = await predictionOf(exported, variablesOf(exported), x, mask);
    assertSame((await load(wasm))(x, mask), expected, args);
  }
  const all = ["--mask", "source=batch,time", "--mask", "target=batch,time"];
  const both = await run(files, "two.safetensors", "--to", "c", ...all);
  assertStringIncludes(
    new TextDecoder().decode(both.written.get("two.h")),
    "const int32_t *mask_source, const int32_t *mask_target,",
  );
});

Deno.test("export: weights that are NaN, if that is asked for", async () => {
  const plain = dense({ units: 1 });
  const file = saveCheckpoint({
    model: plain,
    variables: { params: { bias: tensor([NaN]), kernel: tensor([[1], [2]]) }, state: {} },
  });
  const args = ["plain.safetensors", "--to", "c", "--input", "batch,2"];
  await assertRejects(() => run({ "plain.safetensors": file }, ...args), RangeError, "has NaN at 0");
  const { written } = await run({ "plain.safetensors": file }, ...args, "--allow-nan");
  assertEquals([...written.keys()], ["plain.c", "plain.h"]);
  const onnx = ["plain.safetensors", "--to", "onnx", "--allow-nan"];
  await assertRejects(() => run({ "plain.safetensors": file }, ...onnx), RangeError, "with --allow-nan");
});

Deno.test("export: what it cannot do is said, and nothing is written", async () => {
  const plain = sequential([dense({ units: 2 })]), pair = maskedModels["a mask of one of two sequences"];
  const files = {
    "reader.safetensors": checkpoint,
    "weights.safetensors": encodeSafetensors(variables),
    "pair.safetensors": saveCheckpoint({ model: pair.model, variables: variablesOf(pair) }),
    "plain.safetensors": saveCheckpoint({ model: plain, variables: init(plain, key(0), spec([null, 3])) }),
    "two.onnx": toOnnx(reader, variables, { input: tokens }),
    "model.h5": checkpoint,
    "model.weights.h5": checkpoint,
    "notes.txt": checkpoint,
  };
  const cases: readonly (readonly [args: string, says: string])[] = [
    ["", "0 files are given"],
    ["reader.safetensors two.onnx --to wasm", "2 files are given"],
    ["reader.safetensors", "--to is missing"],
    ["reader.safetensors --to", "--to has no value"],
    ["reader.safetensors -to wasm", 'the option "-to" is unknown; did you mean "to"?'],
    ["-h", 'the option "-h" is unknown'],
    ["reader.safetensors --to wasm --to onnx", "--to is given twice"],
    ["reader.safetensors --to rust", 'Cannot export to "rust": it is unknown; expected one of wasm, c, onnx'],
    ["reader.safetensors --to c --name words --output swords.c", 'the source includes "words.h"'],
    ["reader.safetensors --to wasn", 'did you mean "wasm"?'],
    ["reader.safetensors --to wasm --steam", 'did you mean "stream"?'],
    ["reader.safetensors --to wasm --stream=yes", "--stream has a value"],
    ["reader.safetensors --to onnx --stream", "with --stream"],
    ["reader.safetensors --to wasm --batch 0", '--batch is "0"'],
    ["reader.safetensors --to c --weights int4", '--weights is "int4"'],
    ["reader.safetensors --to c --weights flaot16", 'did you mean "float'],
    ["reader.safetensors --to wasm --weights int8", "Cannot export to wasm with --weights"],
    ["reader.safetensors --to wasm --name 1st", 'name is "1st"'],
    ["reader.safetensors --to wasm --input batch,-1", '--input is "batch,-1"'],
    ["reader.safetensors --to wasm --input batch,time:int64", "int32"],
    ["reader.safetensors --to wasm --input batch,time,3", "Cannot use embedding"],
    ["reader.safetensors --to onnx --mask batch,time", "Cannot export to onnx with --mask"],
    ["reader.safetensors --to wasm --mask", "--mask has no value"],
    ["reader.safetensors --to wasm --mask batch,-1", '--mask is "batch,-1", expected sizes'],
    ["reader.safetensors --to wasm --mask batch,time:float32", "expected bool with the first axes of int32"],
    ["reader.safetensors --to wasm --mask batch,words", "mask is bool[batch, words], expected bool"],
    ["reader.safetensors --to wasm --mask batch,time --stream", "leave out mask or stream"],
    ["reader.safetensors --to wasm --mask batch,time --mask batch,time", "give it as in --mask batch,time"],
    ["reader.safetensors --to wasm --mask x=batch,time", "expected one; give it as in --mask batch,time"],
    ["pair.safetensors --to wasm --mask sauce=batch,time", "or --mask source=batch,time or --mask target"],
    ["pair.safetensors --to wasm --mask source=", '--mask is "", expected sizes'],
    [
      "pair.safetensors --to wasm --mask source=batch,time --mask source=batch,time",
      "one for all inputs, or one for each of some",
    ],
    ["plain.safetensors --to wasm", "float32[batch, time, 3] or float32[batch, 3]"],
    ["weights.safetensors --to wasm", "checkpoint"],
    ["two.onnx --to onnx", "it is the file that is read"],
    ["two.onnx --to wasm --stream", "Cannot"],
    ["model.h5 --to wasm", "no HDF5 file"],
    ["model.weights.h5 --to wasm", "weights alone"],
    ["notes.txt --to wasm", "its format is unknown"],
    ["absent.keras --to wasm", "there is no absent.keras"],
  ];
  for (const [args, says] of cases) {
    const written: string[] = [];
    const words = args.split(" ").filter((word) => word !== "");
    const { message } = await assertRejects(() =>
      exportFile(words, {
        read: (path) =>
          path in files
            ? Promise.resolve(files[path as keyof typeof files])
            : Promise.reject(new Error(`there is no ${path}`)),
        write: (path) => Promise.resolve(void written.push(path)),
        log: () => {},
      }), Error);
    assertStringIncludes(message, says, args);
    assertEquals(written, [], args);
  }
});

Deno.test("export: --help says the targets, formats and options", async () => {
  const { text, written } = await run({}, "--help");
  for (
    const part of [
      "wasm",
      "onnx",
      ".keras",
      "--stream",
      "--input",
      "--mask",
      "--output",
      "--name",
      "--batch",
      "--weights",
      "int8",
    ]
  ) assertStringIncludes(text, part);
  assertEquals(written.size, 0);
});

testInFolder(
  "export: the command reads and writes files, and ends with 1 where it cannot",
  missingPermissions,
  async (folder) => {
    await Deno.writeFile(`${folder}/reader.safetensors`, checkpoint);
    const command = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          `--allow-read=${folder}`,
          `--allow-write=${folder}`,
          new URL("../../../formats/export/mod.ts", import.meta.url).href,
          ...args,
        ],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    };
    const done = await command(`${folder}/reader.safetensors`, "--to", "wasm");
    assertEquals([done.code, done.err], [0, ""]);
    assert(WebAssembly.validate(await Deno.readFile(`${folder}/reader.wasm`)));
    const failed = await command(`${folder}/reader.safetensors`, "--to", "wasm", "--input", "batch,time,9");
    assertEquals([failed.code, failed.out], [1, ""]);
    assert(failed.err.startsWith("Cannot") && !failed.err.includes("    at "), failed.err);
  },
);
