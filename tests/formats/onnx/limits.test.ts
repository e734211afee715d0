/** What a small file may ask for: work, tensors and nodes are counted before anything is computed. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type Layer,
  outputSpecs,
  predict,
  type Spec,
  spec,
  type Tensor,
  tensor,
  type Variables,
} from "@cellfold/cellfold";
import { fromOnnx, OnnxError, type OnnxLimits } from "@cellfold/cellfold/onnx";
import type { GraphProto, Partly } from "../../../formats/onnx/protos.ts";
import { fileOf, graphOf, type GraphParts, node, signed } from "./support/graphs.ts";

const x = signed([2, 3]);

function apply(model: Layer, variables: Variables, x: Tensor): Tensor {
  return model.apply(variables, x, { training: false }).output as Tensor; // these graphs have one output
}

function call(parts: GraphParts, limits: OnnxLimits = {}, input: Spec = spec([2, 3])): Spec {
  const { model, variables } = fromOnnx(fileOf(parts), limits);
  return outputSpecs<Spec>((x: Tensor) => apply(model, variables, x), input);
}

function refusal(parts: GraphParts, limits?: OnnxLimits): string {
  return assertThrows(() => call(parts, limits), OnnxError).message;
}

/** A product of two square matrices that are made on the spot. */
function product(size: number): GraphParts {
  return {
    nodes: [
      node("ConstantOfShape", ["shape"], ["a"]),
      node("MatMul", ["a", "a"], ["p"]),
      node("ReduceSum", ["p"], ["s"]),
      node("Add", ["x", "s"], ["out"]),
    ],
    inputs: { x },
    ints: { shape: [size, size] },
    outputs: { out: "float32" },
    opset: 17,
  };
}

/** A fold in a fold in a fold, each of `steps` steps: x + steps^depth. */
function nested(depth: number, steps: number): GraphParts {
  const inner = (level: number): Partly<GraphProto> =>
    graphOf({
      nodes: level === 0 ? [node("Add", ["c0", "i0"], ["r0"])] : [
        node("Scan", [`c${level}`, "sequence"], [`r${level}`], {
          num_scan_inputs: 1,
          body: { graph: inner(level - 1) },
        }),
      ],
      inputs: { [`c${level}`]: tensor([[0]]), [`i${level}`]: tensor(0) },
      outputs: { [`r${level}`]: "float32" },
    });
  return {
    nodes: [
      node("Scan", ["x", "sequence"], ["out"], { num_scan_inputs: 1, body: { graph: inner(depth - 1) } }),
    ],
    inputs: { x },
    weights: { sequence: tensor(Array.from({ length: steps }, () => 1)) },
    outputs: { out: "float32" },
  };
}

Deno.test("OnnxLimits: a product that takes hours is refused at its node, from any file", () => {
  const message = refusal(product(16_000));
  assertStringIncludes(message, "node 1 (MatMul)");
  assertStringIncludes(message, "4.1e+12 operations, expected at most 100000000000; maxWork allows more");
  assertEquals(call(product(16_000), { maxWork: 1e13 }).shape, [2, 3]);
  assertEquals(call(product(100)).shape, [2, 3]);
  assertStringIncludes(refusal(product(100), { maxWork: 1e6 }), "node 1 (MatMul)");
  assertEquals(call(product(100), { maxWork: 1.1e6 }).shape, [2, 3]);
});

Deno.test("OnnxLimits: a tensor that no memory holds is refused", () => {
  const parts: GraphParts = {
    nodes: [
      node("Expand", ["x", "shape"], ["e"]),
      node("ReduceMax", ["e"], ["m"]),
      node("Add", ["x", "m"], ["out"]),
    ],
    inputs: { x },
    ints: { shape: [1_000_000, 1000, 2, 3] },
    outputs: { out: "float32" },
    opset: 17,
  };
  const message = refusal(parts);
  assertStringIncludes(message, "node 0 (Expand)");
  assertStringIncludes(
    message,
    "of 6000000000 elements, expected at most 268435456; maxElements allows more",
  );
});

Deno.test("OnnxLimits: folds in folds count every step", () => {
  assertEquals(call(nested(3, 4)).shape, [2, 3]);
  assertStringIncludes(refusal(nested(15, 6)), "node 0 (Scan)");
  assertStringIncludes(refusal(nested(3, 4), { maxWork: 64 }), "maxWork allows more");
});

Deno.test("OnnxLimits: nodes are counted in all graphs", () => {
  const chain = (length: number): GraphParts => ({
    nodes: Array.from(
      { length },
      (_, i) => node("Relu", [i === 0 ? "x" : `v${i}`], [i === length - 1 ? "out" : `v${i + 1}`]),
    ),
    inputs: { x },
    outputs: { out: "float32" },
  });
  assertEquals(call(chain(20), { maxNodes: 20 }).shape, [2, 3]);
  assertStringIncludes(refusal(chain(21), { maxNodes: 20 }), "has 21 nodes and more, expected at most 20");
  assertStringIncludes(refusal(chain(50_001)), "expected at most 50000; maxNodes allows more");
  assertStringIncludes(refusal(nested(3, 2), { maxNodes: 2 }), "maxNodes allows more");
});

Deno.test("OnnxLimits: sizes that the caller decides count once", () => {
  const { model, variables } = fromOnnx(
    fileOf({
      nodes: [node("MatMul", ["x", "w"], ["out"])],
      inputs: { x },
      weights: { w: signed([3, 4]) },
      outputs: { out: "float32" },
    }),
    { maxWork: 12 },
  );
  const y = outputSpecs<Spec>(
    (x: Tensor) => apply(model, variables, x),
    spec([null, 3]),
  );
  assertEquals(String(y.shape), "batch,4");
  const big = spec([2, 3]);
  assertThrows(
    () => outputSpecs((x: Tensor) => apply(model, variables, x), big),
    OnnxError,
    "maxWork",
  );
});

Deno.test("OnnxLimits: a limit that is no number is refused", () => {
  for (const limits of [{ maxWork: 0 }, { maxNodes: NaN }, { maxElements: "1" as unknown as number }]) {
    assertThrows(() => call(product(2), limits), RangeError, "expected a number from 1");
  }
});

Deno.test("OnnxError: whole numbers that are no int32 are refused with the output that they are", async () => {
  for (const value of [2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1]) {
    const { model, variables } = fromOnnx(fileOf({
      nodes: [node("Identity", ["x"], ["y"]), node("Identity", ["k"], ["out"])],
      inputs: { x },
      ints: { k: value },
      outputs: { out: "int64" },
    }));
    let error: unknown;
    try {
      await predict(model, variables, x);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof OnnxError, String(error));
    assertStringIncludes(error.message, 'output "out"');
    assertStringIncludes(error.message, String(value));
  }
});
