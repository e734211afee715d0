/** Every imported operator beside onnxruntime-web: small graphs, each output equal. */
import { assert, assertEquals } from "@std/assert";
import { compile, host, spec, type Tensor, tensor, trace, type Tree } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { qualified } from "../../../formats/onnx/import/node.ts";
import { operators } from "../../../formats/onnx/import/operators/mod.ts";
import { fileOf } from "./support/graphs.ts";
import { lengths, type OperatorCase, recurrent } from "./support/fold_cases.ts";
import { operatorCases } from "./support/operator_cases.ts";
import { mayRead, readNeeds } from "./support/fixtures.ts";
import { fileOfCase, quantizedCases } from "./support/quantized_cases.ts";
import { sampleTests } from "./support/node_sample.ts";
import { operatorsOf } from "./support/node_tests.ts";
import { decodeModel, type GraphProto } from "../../../formats/onnx/protos.ts";
import { type Named, runOnWeb, webMissing, webNeeds } from "./support/runtime.ts";

function outputsOf(names: readonly string[], output: Tree<Tensor>): Named {
  return names.length === 1
    ? { [names[0]]: host(output as Tensor) } // one output is the tensor itself
    : output as unknown as Named;
}

for (const operatorCase of operatorCases) {
  Deno.test({
    name: `imported as onnxruntime-web runs it: ${operatorCase.name}${webNeeds}`,
    ignore: webMissing,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const bytes = fileOf(operatorCase);
      const expected = await runOnWeb(bytes, operatorCase.inputs);
      const { model, variables, outputs, inputs } = fromOnnx(bytes);
      const given = inputs.length === 1 ? operatorCase.inputs[inputs[0].name] : operatorCase.inputs;
      using compiled = compile((x: Tree<Tensor>) => model.apply(variables, x, { training: false }).output);
      const eager = outputsOf(outputs, model.apply(variables, given, { training: false }).output);
      for (const actual of [eager, outputsOf(outputs, await compiled(given))]) {
        assertEquals(Object.keys(actual).sort(), Object.keys(operatorCase.outputs).sort());
        for (const [name, { shape, data }] of Object.entries(actual)) {
          assertEquals([...shape], [...expected[name].shape]);
          data.forEach((value, index) => {
            const wanted = expected[name].data[index];
            const error = Math.abs(value - wanted);
            assert(
              error <= 1e-5 * Math.max(1, Math.abs(wanted)),
              `${name}[${index}]: ${value}, expected ${wanted}`,
            );
          });
        }
      }
    },
  });
}

const somewhere =
  `every supported operator is among the cases, the node tests or the quantized models${readNeeds}`;

Deno.test(somewhere, { ignore: !mayRead }, async () => {
  const files = [
    ...(await sampleTests()).map(({ model }) => model),
    ...(await quantizedCases()).map(fileOfCase),
  ];
  const seen = new Set([
    ...operatorCases.flatMap(({ nodes }) =>
      nodes.map(({ opType = "", domain = "" }) => qualified(opType, domain))
    ),
    ...files.flatMap((bytes) => operatorsOf(decodeModel(bytes).graph as GraphProto)), // each has one
  ]);
  const elsewhere = [
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
  ]; // random.test.ts
  assertEquals(Object.keys(operators).filter((name) => !seen.has(name) && !elsewhere.includes(name)), []);
});

Deno.test("layout 1 is layout 0 with batch first", () => {
  for (const operator of ["LSTM", "GRU", "RNN"] as const) {
    for (const direction of ["forward", "reverse", "bidirectional"]) {
      const first = recurrent(operator, { direction }, { states: true, lengths });
      const second = recurrent(operator, { direction, layout: 1 }, { states: true, lengths });
      const flipped = (value: Tensor) => {
        const { shape: [a, b, ...rest], data } = host(value);
        const size = rest.reduce((product, dim) => product * dim, 1);
        const turned = Array.from({ length: a * b * size }, (_, index) => {
          const [i, j, k] = [Math.floor(index / size / a), Math.floor(index / size) % a, index % size];
          return data[(j * b + i) * size + k];
        });
        return tensor(turned, { shape: [b, a, ...rest] });
      };
      const run = ({ inputs, ...parts }: OperatorCase, given: Named): Named => {
        const { model, variables } = fromOnnx(fileOf({ inputs, ...parts }));
        return model.apply(variables, given, { training: false }).output as unknown as Named; // several, by name
      };
      const batchFirst = Object.fromEntries(
        Object.entries(first.inputs).map(([name, value]) => [name, name === "lens" ? value : flipped(value)]),
      );
      const [there, here] = [run(first, first.inputs), run(second, batchFirst)];
      assertEquals(here.Y_h.data, flipped(there.Y_h).data);
      // Y is [time, directions, batch, units], and with layout 1 [batch, time, directions, units].
      const [time, directions, batch, units] = there.Y.shape;
      assertEquals([...here.Y.shape], [batch, time, directions, units]);
      here.Y.data.forEach((value, index) => {
        const [b, t, d, u] = [
          Math.floor(index / units / directions / time),
          Math.floor(index / units / directions) % time,
          Math.floor(index / units) % directions,
          index % units,
        ];
        assertEquals(value, there.Y.data[((t * directions + d) * batch + b) * units + u]);
      });
    }
  }
});

Deno.test("sizes that the file leaves open stay open", () => {
  const parts = operatorCases.find(({ name }) => name === "shapes computed from shapes");
  assert(parts);
  const { model, variables, inputs } = fromOnnx(fileOf(parts));
  assertEquals(String(inputs[0].shape), "x_0,x_1,x_2");
  const { program } = trace(
    (x: Tensor) => model.apply(variables, x, { training: false }).output,
    spec([null, 3, 4]),
  );
  assertEquals(String(program.outputs[0].shape), "batch,3");
});
