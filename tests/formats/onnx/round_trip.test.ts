/** Here -> ONNX -> here. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  batchNormalization,
  bidirectional,
  compile,
  countParams,
  dense,
  fit,
  gru,
  host,
  init,
  key,
  type Layer,
  lstm,
  predict,
  printProgram,
  sequential,
  simpleRnn,
  spec,
  summary,
  type Tensor,
  toJson,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { fromOnnx, type OnnxModel, toOnnx } from "@cellfold/cellfold/onnx";
import { noise } from "../../../examples/support/section.ts";
import { assertAgree, bytesOf, expectedOf, namedLeaves } from "./support/agree.ts";
import { exportCases, variablesOf } from "./support/cases.ts";
import { recurrent } from "./support/fold_cases.ts";
import { fileOf } from "./support/graphs.ts";
import { guideCases } from "./support/guide_cases.ts";
import { optionCases } from "./support/option_cases.ts";
import type { Named } from "./support/runtime.ts";

/** Sums in another order, and nothing else. */
const TOLERANCE = 1e-6;

/** The input of an imported model: the tensors by name, or the one. */
function inputOf({ inputs }: OnnxModel, named: Named): Tree<Tensor> {
  return inputs.length === 1 ? named[inputs[0].name] : named;
}

function outputsOf({ outputs }: OnnxModel, output: Tree<Tensor>): Named {
  return outputs.length === 1 ? { [outputs[0]]: host(output as Tensor) } : output as unknown as Named; // by name, as fromOnnx gives them
}

for (const exportCase of [...exportCases, ...optionCases, ...guideCases]) {
  Deno.test(`a model keeps its predictions through ONNX: ${exportCase.name}`, async () => {
    const imported = fromOnnx(bytesOf(exportCase));
    const input = inputOf(imported, namedLeaves(exportCase.data, "input"));
    const eager = imported.model.apply(imported.variables, input, { training: false });
    assertAgree(exportCase.name, outputsOf(imported, eager.output), expectedOf(exportCase), TOLERANCE);
    const run = async (layer: Layer, variables: Variables, x: Tree<Tensor>) => {
      const call = (variables: Variables, x: Tree<Tensor>) =>
        layer.apply(variables, x, { training: false }).output;
      using compiled = compile(call, { device: "wasm" });
      return await compiled(variables, x);
    };
    const native = await run(exportCase.layer, variablesOf(exportCase), exportCase.data);
    const compiled = await run(imported.model, imported.variables, input);
    const expected = namedLeaves(native, "output", namedLeaves(exportCase.data, "input"));
    assertAgree(exportCase.name, outputsOf(imported, compiled), expected, TOLERANCE);
  });
}

/** The last Program and the kernels that run, as `explain` prints them. */
async function kernelsOf(layer: Layer, variables: Variables, x: Tensor): Promise<string> {
  using compiled = compile(
    (variables: Variables, x: Tensor) => layer.apply(variables, x, { training: false }).output,
    { device: "wasm" },
  );
  await compiled(variables, x);
  const parts = compiled.explain().split("\n\n");
  const kernels = parts.slice(parts.findLastIndex((part) => part.startsWith("after ")) + 1);
  return [printProgram(compiled.program(variables, x)), ...kernels].join("\n\n");
}

const natives: readonly (readonly [string, Layer])[] = [
  ["lstm", lstm({ units: 8 })],
  ["lstm of sequences", lstm({ units: 8, returnSequences: true })],
  ["gru", gru({ units: 8 })],
  ["gru with the reset before", gru({ units: 8, resetAfter: false, returnSequences: true })],
  ["simple rnn", simpleRnn({ units: 8 })],
  ["lstm with peepholes", lstm({ units: 8, peepholes: true })],
  ["lstm with a clip", lstm({ units: 8, clip: 0.5 })],
  ["lstm with coupled gates", lstm({ units: 8, inputForget: true })],
  [
    "lstm with peepholes, a clip and coupled gates",
    lstm({ units: 8, peepholes: true, clip: 0.5, inputForget: true, returnSequences: true }),
  ],
  ["lstm with linear activations", lstm({ units: 8, activation: "linear" })],
  ["gru with a clip", gru({ units: 8, clip: 0.5 })],
  ["simple rnn with a clip", simpleRnn({ units: 8, clip: 0.5 })],
];

for (const [name, layer] of natives) {
  Deno.test(`an imported ${name} compiles to the same kernels as a native one`, async () => {
    const input = spec([null, null, 4]);
    const variables = init(layer, key(0), input);
    const imported = fromOnnx(toOnnx(layer, variables, { input }));
    const x = noise([3, 7, 4]);
    const native = await kernelsOf(layer, variables, x);
    assert(native.includes("scan") && native.includes("kernel"), native);
    assertEquals(await kernelsOf(imported.model, imported.variables, x), native);
  });
}

for (const inputForget of [false, true]) {
  for (const peepholes of [false, true]) {
    const name = `coupled gates ${inputForget}, peepholes ${peepholes}`;
    Deno.test(`an imported lstm with a cell activation of its own computes no gate twice: ${name}`, async () => {
      const counts = async (layer: Layer, variables: Variables, x: Tensor) => {
        const kernels = await kernelsOf(layer, variables, x);
        return [/= matmul/g, /= sigmoid/g, /= tanh/g].map((pattern) => kernels.match(pattern)?.length ?? 0);
      };
      const attributes = {
        input_forget: Number(inputForget),
        activations: ["Sigmoid", "Tanh", "Relu"],
        layout: 1,
      };
      const { model, variables } = fromOnnx(fileOf(recurrent("LSTM", attributes, { peepholes })));
      const x = noise([3, 5, 2]);
      const native = lstm({ units: 4, inputForget, peepholes, returnSequences: true, returnState: true });
      const [matmuls, sigmoids, tanhs] = await counts(native, init(native, key(0), x), x);
      assertEquals([matmuls, sigmoids, tanhs], [2, inputForget ? 2 : 3, 2]);
      assertEquals(await counts(model, variables, x), [matmuls, sigmoids, tanhs - 1]);
    });
  }
}

Deno.test("an imported model predicts batches of any size", async () => {
  const layer = sequential([lstm({ units: 6 }), dense({ units: 3 })]);
  const input = spec([null, null, 4]);
  const variables = init(layer, key(0), input);
  const imported = fromOnnx(toOnnx(layer, variables, { input }));
  const x = noise([37, 5, 4]);
  const [native, again] = [
    await predict(layer, variables, x),
    await predict(imported.model as Layer<Tensor>, imported.variables, x),
  ];
  assertEquals([...host(again).data], [...host(native).data]);
});

Deno.test("an imported model trains as the exported one does", async () => {
  const layer = sequential([
    bidirectional(lstm({ units: 6, returnSequences: true })),
    lstm({ units: 4, returnSequences: true, peepholes: true, inputForget: true, clip: 0.5 }),
    gru({ units: 5 }),
    batchNormalization({ momentum: 0.9 }),
    dense({ units: 3 }),
  ]);
  const input = spec([null, null, 4]);
  const variables = init(layer, key(0), input);
  const { model, variables: imported } = fromOnnx(toOnnx(layer, variables, { input }));
  const data = { x: noise([40, 7, 4], 1), y: noise([40, 3], 2) };
  const options = {
    loss: "mse",
    optimizer: "sgd",
    batchSize: 16,
    epochs: 3,
    shuffle: false,
    report: "none",
  } as const;
  const here = await fit(layer, variables, data, options);
  const there = await fit(model, imported, data, options);
  here.history.loss.forEach((loss, epoch) => {
    assert(Math.abs(loss - there.history.loss[epoch]) < 1e-5, `${loss} and ${there.history.loss[epoch]}`);
  });
  assert(here.history.loss[2] < here.history.loss[0]);
  const statistics = ({ state }: Variables) =>
    treeLeaves<Tensor>(state).map((leaf) => [...host(leaf).data]).flat();
  const [mine, theirs] = [statistics(here.variables), statistics(there.variables)];
  assertEquals(theirs.length, mine.length);
  mine.forEach((value, index) => assert(Math.abs(value - theirs[index]) < 1e-5));
});

Deno.test("an imported model is a layer like others: it has a summary, goes into models and out again", () => {
  const layer = sequential([lstm({ units: 5, returnSequences: true }), batchNormalization()]);
  const input = spec([null, null, 4]);
  const { model, variables } = fromOnnx(toOnnx(layer, init(layer, key(0), input), { input }), {
    name: "body",
  });
  const whole = sequential([model, gru({ units: 3 })]);
  const fresh = init(whole, key(1), input);
  assertEquals(countParams(whole, fresh).nonTrainable, 10);
  assert(summary(whole, input).includes("body"));
  const x = noise([2, 6, 4]);
  const { output } = whole.apply(fresh, x, { training: false });
  const again = fromOnnx(toOnnx(whole, fresh, { input }));
  const back = again.model.apply(again.variables, x, { training: false });
  assertAgree("again", outputsOf(again, back.output), { output: host(output) }, TOLERANCE);
  const frozen = fromOnnx(toOnnx(layer, init(layer, key(0), input), { input }), {
    trainable: (name) => name !== "lstm/LSTM",
  });
  assertEquals(frozen.model.trainableLeaves(frozen.variables.params).filter((trains) => !trains).length, 3);
  assertEquals(Object.keys(frozen.variables.params).sort(), Object.keys(variables.params).sort());
  assertThrows(() => toJson(model), TypeError, "graph");
});
