/** If and Loop: what is known while a graph is traced, what is refused, and what training sees. */
import {
  cast,
  compile,
  host,
  type HostTensor,
  mapTree,
  outputSpecs,
  type Spec,
  spec,
  square,
  sum,
  type Tensor,
  tensor,
  trace,
  type Tree,
} from "@cellfold/cellfold";
import { fromOnnx, OnnxError, type OnnxLimits } from "@cellfold/cellfold/onnx";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { GraphProto, Partly } from "../../../formats/onnx/protos.ts";
import { assertGradient } from "../../layers/helpers.ts";
import { inner, loopCases } from "./support/control_cases.ts";
import { fileOf, type GraphParts, node, signed } from "./support/graphs.ts";
import type { Named } from "./support/runtime.ts";

const x = signed([2, 3], 1);

function outputOf(parts: GraphParts, limits: OnnxLimits = {}): (x: Tree<Tensor>) => Tree<Tensor> {
  const { model, variables } = fromOnnx(fileOf(parts), limits);
  return (x) => model.apply(variables, x, { training: false }).output;
}

function refusal(parts: GraphParts, limits?: OnnxLimits): string {
  return assertThrows(() => outputSpecs(outputOf(parts, limits), spec([2, 3])), OnnxError).message;
}

/** A loop over `x` with the condition of these nodes. */
function whileLoop(nodes: Parameters<typeof inner>[2], ints: GraphParts["ints"] = {}): GraphParts {
  const body = inner({ i: "int64", on: "bool", s: "float" }, { next: "bool", s2: "float" }, [
    node("Tanh", ["s"], ["s2"]),
    ...nodes,
  ]);
  return {
    nodes: [node("Loop", ["", "yes", "x"], ["out"], { body: { graph: body } })],
    inputs: { x },
    weights: { yes: tensor(true), limit: tensor(20) },
    ints,
    outputs: { out: "float32" },
  };
}

Deno.test("Loop: over a size that is open it is one fold, whose input is the sequence", () => {
  for (const name of ["Loop over a sequence", "Loop while a counter is less than a size"]) {
    const loop = loopCases.find((each) => each.name.startsWith(name));
    assert(loop);
    const { model, variables } = fromOnnx(fileOf(loop));
    const { equations, outputs } = trace(
      (x: Tree<Tensor>) => model.apply(variables, x, { training: false }).output,
      { xs: spec([null, 2, 3]), x: spec([2, 3]) },
    ).program;
    const scans = equations.filter(({ operation }) => operation.name === "scan");
    assertEquals(scans.length, 1, name);
    assert(!equations.some(({ operation }) => operation.name === "gather"), name);
    assert(outputs.some(({ shape }) => typeof shape[0] !== "number"), name);
  }
});

Deno.test("Loop: its derivative is that of its steps", () => {
  const doubles = (tensors: Named | undefined): Named =>
    mapTree(
      tensors ?? {},
      (leaf: HostTensor) => leaf.dtype === "float32" ? host(cast(leaf, "float64")) : leaf,
    );
  for (const name of ["Loop over a sequence", "Loop while values are small", "Loop whose state grows"]) {
    const loop = loopCases.find((each) => each.name.startsWith(name));
    assert(loop);
    const parts = { ...loop, inputs: doubles(loop.inputs), weights: doubles(loop.weights) };
    const output = outputOf({ ...parts, outputs: { out: "float32" } });
    const given = Object.keys(loop.inputs).length === 1 ? loop.inputs.x : loop.inputs;
    assertGradient((x) => sum(square(output(x) as Tensor)), given); // one output
  }
});

Deno.test("Loop: without a bound it is refused at its node", () => {
  const always = refusal(whileLoop([node("Identity", ["on"], ["next"])]));
  assertStringIncludes(always, "node 0 (Loop)");
  assertStringIncludes(always, "has no bound that is known before it runs");
  const byValue = whileLoop([
    node("ReduceMax", ["s2"], ["most"], { keepdims: 0 }),
    node("Less", ["most", "limit"], ["next"]),
  ]);
  assertStringIncludes(refusal(byValue), "has no bound");
  const away = whileLoop([node("Sub", ["zero", "i"], ["k"]), node("Less", ["k", "five"], ["next"])], {
    zero: 0,
    five: 5,
  });
  assertStringIncludes(refusal(away), "has no bound");
});

Deno.test("Loop: a trip count below 0 is that of no step", () => {
  const body = inner({ i: "int64", on: "bool", s: "float" }, { next: "bool", s2: "float" }, [
    node("Identity", ["on"], ["next"]),
    node("Tanh", ["s"], ["s2"]),
  ]);
  for (const count of [0, -1, -5]) {
    const output = outputOf({
      nodes: [node("Loop", ["count", "yes", "x"], ["out"], { body: { graph: body } })],
      inputs: { x },
      weights: { yes: tensor(true) },
      ints: { count },
      outputs: { out: "float32" },
    });
    assertEquals(host(output(x) as Tensor).data, x.data); // one output
  }
});

Deno.test("Loop: outputs of each step need a number of steps that is known", () => {
  const body = inner({ i: "int64", on: "bool", s: "float" }, { next: "bool", s2: "float", o: "float" }, [
    node("Tanh", ["s"], ["s2"]),
    node("Identity", ["s2"], ["o"]),
    node("ReduceMax", ["s2"], ["most"], { keepdims: 0 }),
    node("Less", ["most", "limit"], ["next"]),
  ]);
  const message = refusal({
    nodes: [node("Loop", ["ten", "yes", "x"], ["last", "out"], { body: { graph: body } })],
    inputs: { x },
    weights: { yes: tensor(true), limit: tensor(0.5) },
    ints: { ten: 10 },
    outputs: { out: "float32" },
  });
  assertStringIncludes(message, "its outputs have one part for each step");
});

Deno.test("Loop: loops in loops that are written out are refused after a bounded time", () => {
  /** `s` longer by `x` at every step of loops in loops. */
  const nested = (depth: number): Partly<GraphProto> =>
    inner({ [`i${depth}`]: "int64", [`on${depth}`]: "bool", [`s${depth}`]: "float" }, {
      [`next${depth}`]: "bool",
      [`r${depth}`]: "float",
    }, [
      node("Identity", [`on${depth}`], [`next${depth}`]),
      depth === 0
        ? node("Concat", [`s${depth}`, "x"], [`r${depth}`], { axis: 1 })
        : node("Loop", ["many", "", `s${depth}`], [`r${depth}`], { body: { graph: nested(depth - 1) } }),
    ]);
  const message = refusal({
    nodes: [
      node("Loop", ["many", "", "x"], ["out"], { body: { graph: nested(8) } }),
    ],
    inputs: { x },
    ints: { many: 60 },
    outputs: { out: "float32" },
  }, { maxNodes: 500 });
  assertStringIncludes(message, "too many steps");
});

Deno.test("If: which branch is taken is known where it follows from constants and sizes", () => {
  const parts: GraphParts = {
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("ReduceProd", ["shape"], ["count"], { keepdims: 0 }),
      node("Equal", ["count", "six"], ["truth"]),
      node("If", ["truth"], ["out"], {
        then_branch: { graph: inner({}, { a: "float" }, [node("Neg", ["x"], ["a"])]) },
        else_branch: { graph: inner({}, { b: "float" }, [node("ReduceSum", ["x"], ["b"])]) },
      }),
    ],
    inputs: { x },
    ints: { six: 6 },
    outputs: { out: "float32" },
  };
  const specs = (shape: readonly number[]) => outputSpecs(outputOf(parts), spec(shape)) as Spec;
  assertEquals(specs([2, 3]).shape, [2, 3]);
  assertEquals(specs([2, 4]).shape, [1, 1]);
  // Known at run time only: both branches would be needed, and have different shapes.
  assertThrows(
    () => outputSpecs(outputOf(parts), spec([null, 3])),
    OnnxError,
    "expected the same shape and type",
  );
});

Deno.test("If: a branch that is not taken gives no value", async () => {
  const output = outputOf({
    nodes: [
      node("ReduceSum", ["x"], ["sum"], { keepdims: 0 }),
      node("Greater", ["sum", "zero"], ["truth"]),
      node("If", ["truth"], ["out"], {
        then_branch: { graph: inner({}, { a: "float" }, [node("Log", ["x"], ["a"])]) },
        else_branch: { graph: inner({}, { b: "float" }, [node("Neg", ["x"], ["b"])]) },
      }),
    ],
    inputs: { x },
    weights: { zero: tensor(0) },
    outputs: { out: "float32" },
  });
  using compiled = compile(output);
  const negative = tensor([[-1, -2, -3]]);
  assertEquals(
    (await compiled(negative) as Tensor & { data: Float32Array }).data,
    Float32Array.from([1, 2, 3]),
  );
});
