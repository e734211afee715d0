/** What a model needs and the importer lacks is told all at once. */
import { tensor } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert, assertThrows } from "@std/assert";
import { fileOf, graphOf, node } from "./support/graphs.ts";

const x = tensor([[1, 2]]);

Deno.test("fromOnnx: an error names every operator that is not supported, also inside of graphs, and guesses none", () => {
  const inner = graphOf({ nodes: [node("Hidden", ["a"], ["b"])], inputs: {}, outputs: { b: "float32" } });
  const bytes = fileOf({
    nodes: [
      node("Tanh", ["x"], ["a"]),
      { ...node("Cosine", ["a"], ["c"]), name: "wave" },
      { ...node("Tanh", ["c"], ["d"]), domain: "com.example" },
      node("Cosine", ["d"], ["e"]),
      node("If", ["e"], ["out"], { then_branch: { graph: inner } }),
    ],
    inputs: { x },
    outputs: { out: "float32" },
  });
  const error = assertThrows(() => fromOnnx(bytes), Error, 'node "wave" (Cosine)');
  const listed = ["Cosine", "Hidden"].map((name) => `"${name}" of the domain "ai.onnx"`);
  for (const name of ["3 operators of the model", '"Tanh" of the domain "com.example"', ...listed]) {
    assert(error.message.includes(name), `${name} in ${error.message}`);
  }
  assert(!error.message.includes("nearest"), error.message);
});

Deno.test("fromOnnx: one operator that is not supported is told as one", () => {
  const bytes = fileOf({
    nodes: [node("Cosine", ["x"], ["out"])],
    inputs: { x },
    outputs: { out: "float32" },
  });
  assertThrows(
    () => fromOnnx(bytes),
    Error,
    'the operator "Cosine" of the domain "ai.onnx" is not supported',
  );
});

Deno.test("fromOnnx: of many operators that are not supported, the number is right where not all are listed", () => {
  const names = Array.from({ length: 50 }, (_, index) => `Own${index}`);
  const nodes = names.map((name, index) => node(name, [index === 0 ? "x" : `y${index}`], [`y${index + 1}`]));
  const bytes = fileOf({ nodes, inputs: { x }, outputs: { y50: "float32" } });
  const { message } = assertThrows(
    () => fromOnnx(bytes),
    Error,
    "50 operators of the model are not supported",
  );
  assert(
    message.includes('"Own19"') && message.includes("and 30 more") && !message.includes("Own20"),
    message,
  );
});
