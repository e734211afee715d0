/** Lengths that are open in several inputs of a model: each has its own, unless the model needs them to be equal. */
import * as cf from "@cellfold/cellfold";
import type { Spec, Tensor, Tree } from "@cellfold/cellfold";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { fileOf, node, signed } from "./support/graphs.ts";
import { runOnWeb, webMissing, webNeeds } from "./support/runtime.ts";

/** The inputs of the file of a model of two sequences, joined by `join`, with their sizes. */
function written(join: (a: Tensor, b: Tensor) => Tensor, sizes: (name: string) => (string | null)[]) {
  const [a, b] = ["left", "right"].map((name) => cf.input([...sizes(name), 3], { name }));
  const model = cf.model({ inputs: [a, b], outputs: cf.apply(join, a, b) });
  const input = ["left", "right"].map((name) => cf.spec([null, ...sizes(name), 3]));
  const bytes = toOnnx(model, cf.init(model, cf.key(0), input), { input });
  const shapes = fromOnnx(bytes).inputs.map(({ name, shape }) => `${name}: ${shape}`);
  return { model, bytes, shapes, input };
}

const means = (a: Tensor, b: Tensor) => cf.add(cf.mean(a, { axes: 1 }), cf.mean(b, { axes: 1 }));

Deno.test({
  name: `toOnnx: two inputs may have different lengths${webNeeds}`,
  ignore: webMissing,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const { model, bytes, shapes, input } = written(means, () => [null]);
    assertEquals(shapes, ["left: batch,left_time,3", "right: batch,right_time,3"]);
    const variables = cf.init(model, cf.key(0), input);
    for (const lengths of [[4, 8], [7, 2], [5, 5]]) {
      const [left, right] = lengths.map((time, i) => cf.host(cf.normal(cf.key(i), [2, time, 3])));
      const ours = await cf.predict(model as cf.Layer<Tensor>, variables, [left, right] as Tree<Tensor>); // one output
      const { output } = await runOnWeb(bytes, { left, right });
      ours.data.forEach((value, i) =>
        assertEquals(Math.abs(value - output.data[i]) < 1e-6, true, `${lengths}`)
      );
    }
  },
});

Deno.test("toOnnx: lengths that the model needs to be equal are one size, and so are sizes of one name", () => {
  const sum = (a: Tensor, b: Tensor) => cf.mean(cf.add(a, b), { axes: 1 });
  assertEquals(written(sum, () => [null]).shapes, ["left: batch,time,3", "right: batch,time,3"]);
  assertEquals(written(means, () => ["steps"]).shapes, ["left: batch,steps,3", "right: batch,steps,3"]);
  const apart = written(means, (name) => [`${name}_steps`]);
  assertEquals(apart.shapes, ["left: batch,left_steps,3", "right: batch,right_steps,3"]);
});

Deno.test("toOnnx: inputs without names of their own, or with the same one, go by their places", () => {
  const inputs = (names: readonly (string | undefined)[]) => {
    const nodes = names.map((name) => cf.input([null, 3], { name }));
    const model = cf.model({
      inputs: { x: nodes[0], y: nodes[1] },
      outputs: cf.apply(means, nodes[0], nodes[1]),
    });
    const input: Record<string, Spec> = { x: cf.spec([null, null, 3]), y: cf.spec([null, null, 3]) };
    const { inputs } = fromOnnx(toOnnx(model, cf.init(model, cf.key(0), input), { input }));
    return inputs.map(({ name }) => name);
  };
  assertEquals(inputs(["a", "b"]), ["a", "b"]);
  assertEquals(inputs(["a", undefined]), ["x", "y"]);
  assertEquals(inputs(["a", "a"]), ["x", "y"]);
});

Deno.test({
  name: `fromOnnx: convolutions and pooling of any batch and length${webNeeds}`,
  ignore: webMissing,
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const file = fileOf({
      nodes: [
        node("Conv", ["x", "w", "b"], ["a"], { strides: [2], pads: [1, 2] }),
        node("MaxPool", ["a"], ["p"], { kernel_shape: [3], strides: [2], ceil_mode: 1 }),
        node("ConvTranspose", ["p", "v"], ["out"], { strides: [3] }),
      ],
      inputs: { x: signed([1, 3, 1]) },
      weights: { w: signed([4, 3, 5], 2), b: signed([4], 3), v: signed([4, 2, 2], 4) },
      outputs: { out: "float32" },
    });
    const { model, variables } = fromOnnx(file);
    using compiled = cf.compile(
      (x: Tensor) => model.apply(variables, x, { training: false }).output as Tensor, // one output
      { specs: [cf.spec([null, 3, "length"])] },
    );
    for (const [batch, length] of [[1, 8], [2, 13], [3, 16], [1, 17]]) {
      const x = signed([batch, 3, length], length);
      const ours = cf.host(await compiled(x));
      const { out } = await runOnWeb(file, { x });
      assertEquals([...ours.shape], [...out.shape]);
      ours.data.forEach((value, i) => assertAlmostEquals(Number(value), Number(out.data[i]), 1e-5));
    }
  },
});
