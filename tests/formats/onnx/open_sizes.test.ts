/** Imported operators compiled once for any sizes: they compute what they do at once. */
import { compile, host, spec, type Tensor, tensor } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert, assertEquals } from "@std/assert";
import { fileOf, node, signed, type Value } from "./support/graphs.ts";
import type { Named } from "./support/runtime.ts";

interface Case {
  readonly nodes: readonly (readonly [
    operator: string,
    inputs: readonly string[],
    attributes?: { readonly [name: string]: Value },
  ])[];
  readonly inputs: Named;
  /** The sizes with which it is compiled: names where they are open. */
  readonly sizes: { readonly [input: string]: readonly (string | number)[] };
  readonly weights?: Named;
  readonly ints?: { readonly [name: string]: readonly number[] };
  readonly opset?: number;
}

const x = signed([3, 4, 5], 1);
const places = tensor([1, 0, 2, 2, 1, 0], { shape: [2, 3], dtype: "int32" });

/** Nodes in a row; the output of the last one is `out`, and that of each before it its operator. */
const cases: { readonly [name: string]: Case } = {
  "a convolution over two open axes": {
    nodes: [["Conv", ["x", "w"]], ["Conv", ["Conv", "v"]]],
    inputs: { x: signed([1, 1, 6, 7], 20) },
    sizes: { x: [1, 1, "a", "b"] },
    weights: { w: signed([2, 1, 3, 2], 21), v: signed([3, 2, 2, 2], 22) },
  },
  quantized: {
    nodes: [
      ["DynamicQuantizeLinear", ["x"]],
      ["MatMulInteger", ["DynamicQuantizeLinear", "w"]],
      ["Cast", ["MatMulInteger"], { to: 1 }],
    ],
    inputs: { x },
    sizes: { x: ["a", "b", 5] },
    weights: {
      w: tensor(signed([5, 2], 2).data.map((value) => Math.round(100 * value)), {
        shape: [5, 2],
        dtype: "int32",
      }),
    },
  },
  "scattered elements": {
    nodes: [["ScatterElements", ["x", "places", "updates"], { axis: 1, reduction: "add" }]],
    inputs: { x: signed([2, 4], 3), places, updates: signed([2, 3], 4) },
    sizes: { x: ["a", "b"], places: ["c", "d"], updates: ["c", "d"] },
  },
  "gathered rows": {
    nodes: [["GatherND", ["x", "places"]]],
    inputs: { x: signed([3, 3, 3], 5), places },
    sizes: { x: ["a", "b", "c"], places: ["d", 3] },
  },
  "scattered rows": {
    nodes: [["Unsqueeze", ["places", "axis"]], ["ScatterND", ["x", "Unsqueeze", "updates"], {
      reduction: "max",
    }]],
    inputs: {
      x: signed([4, 2], 6),
      places: tensor([2, 0, 2], { dtype: "int32" }),
      updates: signed([3, 2], 7),
    },
    sizes: { x: ["a", "b"], places: ["c"], updates: ["c", "b"] },
    ints: { axis: [1] },
    opset: 18,
  },
  "a nearest neighbor": {
    nodes: [["Resize", ["x", "", "scales"], { mode: "nearest" }]],
    inputs: { x: signed([2, 3, 4], 8) },
    sizes: { x: ["a", "b", "c"] },
    weights: { scales: tensor([1, 2, 3]) },
  },
  attention: {
    nodes: [["Attention", ["q", "k", "v"], { q_num_heads: 2, kv_num_heads: 2, is_causal: 1 }]],
    inputs: { q: signed([2, 3, 4], 9), k: signed([2, 5, 4], 10), v: signed([2, 5, 4], 11) },
    sizes: { q: ["a", "b", 4], k: ["a", "c", 4], v: ["a", "c", 4] },
    opset: 23,
  },
  triangle: {
    nodes: [["Trilu", ["x"]], ["LpNormalization", ["Trilu"], { axis: 1 }]],
    inputs: { x },
    sizes: { x: ["a", "b", "c"] },
  },
  blocks: {
    nodes: [["DepthToSpace", ["x"], { blocksize: 2 }]],
    inputs: { x: signed([2, 4, 3, 2], 12) },
    sizes: { x: ["a", 4, "b", "c"] },
  },
  "running products": {
    nodes: [["CumProd", ["x", "axis"]]],
    inputs: { x },
    sizes: { x: ["a", "b", "c"] },
    ints: { axis: [1] },
    opset: 26,
  },
};

function bytesOf({ nodes, inputs, weights, ints, opset }: Case): Uint8Array {
  return fileOf({
    nodes: nodes.map(([operator, names, attributes], index) =>
      node(operator, names, [index === nodes.length - 1 ? "out" : operator], attributes)
    ),
    inputs,
    weights,
    ints,
    outputs: { out: "float32" },
    opset,
  });
}

for (const [name, given] of Object.entries(cases)) {
  Deno.test(`fromOnnx: ${name} with open sizes`, async () => {
    const { model, variables, inputs } = fromOnnx(bytesOf(given));
    const run = (x: Tensor | Readonly<Record<string, Tensor>>) =>
      model.apply(variables, x, { training: false }).output as Tensor; // one output
    const open = (name: string) => spec(given.sizes[name], given.inputs[name].dtype);
    const isOnly = inputs.length === 1, [{ name: first }] = inputs;
    const specs = isOnly ? open(first) : Object.fromEntries(inputs.map(({ name }) => [name, open(name)]));
    const input = isOnly ? given.inputs[first] : given.inputs;
    using compiled = compile(run, { device: "reference", specs: [specs as never] }); // the specs of its argument
    const [now, later] = [host(run(input)), host(await compiled(input))];
    assertEquals([...later.shape], [...now.shape]);
    later.data.forEach((value, index) =>
      assert(Math.abs(value - now.data[index]) <= 1e-6, `${value}, ${now.data[index]}`)
    );
  });
}
