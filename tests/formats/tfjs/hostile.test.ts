/** Damaged and hostile `model.json` files, and what TensorFlow.js cannot compute: refused with the place. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromTfjs, KerasFileError, toTfjs } from "../../../formats/tfjs/mod.ts";
import * as cf from "../../../mod.ts";
import { errorOf } from "../keras/support.ts";

const layer = cf.sequential([cf.lstm({ units: 2, name: "memory" }), cf.dense({ units: 1 })]);
const input = cf.spec([null, null, 3]);
const files = await toTfjs(layer, cf.init(layer, cf.key(0), input), { input });
const text = new TextDecoder().decode(files["model.json"]);
const weights = files["group1-shard1of1.bin"];

// deno-lint-ignore no-explicit-any -- a test reaches into JSON of any kind
type Edit = (json: any) => void;

async function refused(edit: Edit, bytes: Uint8Array, ...words: string[]): Promise<void> {
  const json = JSON.parse(text);
  edit(json);
  const error = await errorOf(fromTfjs(JSON.stringify(json), () => bytes, { maxBytes: 10_000 }));
  assert(error instanceof KerasFileError, `${error.name}: ${error.message}`);
  for (const word of words) assertStringIncludes(error.message, word);
}

const first: (edit: Edit) => Edit = (edit) => ({ weightsManifest: [group] }) => edit(group.weights[0]);

Deno.test("weight files that are short, long or outside the folder are refused", async () => {
  const same: Edit = () => {};
  await refused(same, weights.slice(1), "weightsManifest[0].paths", "have 203 bytes", "take 204");
  await refused(same, new Uint8Array(300), "weightsManifest[0].paths", "more than 204 bytes");
  const asked: string[] = [];
  for (const path of ["../secret", "/etc/passwd", "a/../../b", "C:\\x", "https://else.where/a.bin", "", 3]) {
    const json = JSON.parse(text);
    json.weightsManifest[0].paths = [path];
    const reading = fromTfjs(JSON.stringify(json), (name) => {
      asked.push(name);
      return weights;
    });
    const error = await errorOf(reading);
    assertStringIncludes(error.message, "is refused: it must be a name in the model's folder");
  }
  assertEquals(asked, []);
  await assertRejects(() => fromTfjs(text, () => "bytes" as unknown as Uint8Array), TypeError, "readShard");
});

Deno.test("weights with wrong scales, types, shapes or names are refused", async () => {
  const scaled = (quantization: object) => first((weight) => weight.quantization = quantization);
  for (const scale of [0, -1, "1", null, 1e999]) {
    await refused(scaled({ dtype: "uint8", scale, min: 0 }), weights, "weights[0]", "the scale");
  }
  await refused(scaled({ dtype: "uint8", scale: 1 }), weights, "the min");
  await refused(scaled({ dtype: "int4", scale: 1, min: 0 }), weights, '"int4"', "uint8, uint16, float16");
  await refused(first((weight) => weight.dtype = "string"), weights, '"string"', "float32");
  await refused(first((weight) => weight.shape = [-1, 8]), weights, "the shape of", "[-1,8]");
  await refused(first((weight) => weight.shape = [1e6, 1e6]), weights, "more than 10000 bytes", "maxBytes");
  await refused(first((weight) => weight.shape = [8, 3]), weights, "memory/kernel", "[8, 3]", "[3, 8]");
  await refused(
    ({ weightsManifest: [group] }) => group.weights[1].name = group.weights[0].name,
    weights,
    "twice",
  );
  await refused(
    ({ weightsManifest: [group] }) => group.weights.pop(),
    weights.slice(4),
    "dense",
    "1 weights, expected 2",
  );
});

Deno.test("what is no layers model is refused, and an error says what the file is", async () => {
  await refused((json) => json.modelTopology = { node: [] }, weights, "graph model", "ONNX");
  await refused((json) => delete json.modelTopology, weights, "no modelTopology");
  await refused((json) => json.weightsManifest = 3, weights, "weightsManifest");
  const about = "(this is a model.json of tfjs-layers 4.22.0)";
  await refused(
    (json) => json.modelTopology.config.layers[1].class_name = "CuDNNLSTM",
    weights,
    "CuDNNLSTM",
    about,
  );
});

/** The refusal to write a model. */
async function unwritten(layer: cf.Layer, input: cf.Spec, ...words: string[]): Promise<void> {
  const options = layer.type === "model" ? {} : { input };
  const error = await errorOf(toTfjs(layer, cf.init(layer, cf.key(0), input), options));
  assert(error instanceof TypeError, `${error.name}: ${error.message}`);
  for (const word of words) assertStringIncludes(error.message, word);
}

Deno.test("what TensorFlow.js does not compute is not written", async () => {
  const sequence = cf.spec([null, 4, 3]);
  await unwritten(cf.gru({ units: 2, name: "g" }), sequence, '"g" (GRU)', "resetAfter: false");
  await unwritten(
    cf.dense({ units: 2, activation: "hardSigmoid" }),
    sequence,
    "hard_sigmoid",
    "hardSigmoidKeras2",
  );
  await unwritten(
    cf.lstm({ units: 2, recurrentActivation: "gelu", activation: "hardTanh" }),
    sequence,
    "hard_tanh",
  );
  await unwritten(cf.sequential([cf.sequential([cf.dense({ units: 2 })])]), sequence, "a sequential inside");
  await unwritten(cf.convLstm1d({ filters: 1, kernelSize: 1 }), cf.spec([null, 2, 3, 1]), "ConvLSTM1D");
  const x = cf.input([4, 3]);
  await unwritten(
    cf.model({ inputs: x, outputs: cf.apply(cf.tanh, x) }),
    sequence,
    "applies the function tanh",
  );
  const masked = cf.call(cf.masking(), x);
  const two = (b: cf.Node) => cf.model({ inputs: x, outputs: [cf.call(cf.lstm({ units: 2 }), masked), b] });
  await unwritten(two(cf.call(cf.lstm({ units: 3 }), x)), sequence, "given no mask", "ran before");
  await unwritten(
    two(cf.call(cf.merge({ method: "add" }), [masked, x])),
    sequence,
    "a mask of another shape",
  );
  const backwards = cf.gru({ units: 2, goBackwards: true, returnSequences: true, resetAfter: false });
  await unwritten(
    cf.sequential([cf.masking(), backwards, cf.lstm({ units: 2 })]),
    sequence,
    "goes backwards",
  );
  const zeros = cf.lstm({ units: 2, returnSequences: true, zeroOutputForMask: true });
  await unwritten(cf.sequential([cf.masking(), zeros]), sequence, "zeroOutputForMask");
});

Deno.test("layers that convolve, pool and rectify are written with the options that TensorFlow.js has", async () => {
  const sequence = cf.spec([null, 4, 3]);
  const causal = cf.conv1d({ filters: 2, kernelSize: 2, padding: "causal" });
  await unwritten(causal, sequence, '"causal", with which TensorFlow.js fails');
  const grouped = cf.conv1d({ filters: 3, kernelSize: 1, groups: 3 });
  await unwritten(grouped, sequence, "the option groups 3", "has 1 alone");
  await unwritten(cf.zeroPadding1d(), sequence, "ZeroPadding1D", "does not have");
  const image = cf.spec([null, 4, 4, 3]);
  const dilated = cf.depthwiseConv2d({ kernelSize: 2, dilationRate: 2 });
  await unwritten(dilated, image, "dilation_rate [2,2]", "[1,1] alone");
  await unwritten(cf.globalMaxPooling2d({ keepdims: true }), image, "keepdims true");
  await unwritten(cf.reluLayer({ threshold: 1 }), image, "the option threshold 1");
  await unwritten(cf.eluLayer({ alpha: 0.5 }), image, "the option alpha 0.5");
  const masked = cf.sequential([cf.masking(), cf.globalAveragePooling1d()]);
  await unwritten(masked, sequence, "an input with a mask");
});
