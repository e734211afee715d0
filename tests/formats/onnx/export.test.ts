import { assert, assertEquals } from "@std/assert";
import { host, type Tensor, type Tree } from "@cellfold/cellfold";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { decodeModel, type GraphProto } from "../../../formats/onnx/protos.ts";
import { flattenTree } from "../../../src/tree/tree.ts";
import { type ExportCase, exportCases, variablesOf } from "./support/cases.ts";
import { type Named, python, runInPython, runOnWeb } from "./support/runtime.ts";

/** Of other programs' outputs: sums of a few hundred products in another order, and other tanh and exp. */
const TOLERANCE = 1e-5;

/** Names for the leaves of a tree, as toOnnx makes them; those that inputs have get another. */
function namedLeaves(tree: Tree<Tensor>, alone: string, taken: Named = {}): Named {
  const { leaves, paths } = flattenTree<Tensor>(tree);
  return Object.fromEntries(
    leaves.map((leaf, index) => {
      const path = paths[index].length === 0 ? alone : paths[index].join(".");
      return [path in taken ? `output_${path}` : path, host(leaf)];
    }),
  );
}

/** Fails unless both have the same names, shapes and values within the tolerance. */
function assertAgree(
  name: string,
  actual: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>>,
  expected: Named,
  tolerance = TOLERANCE,
): void {
  assertEquals(Object.keys(actual).sort(), Object.keys(expected).sort(), name);
  for (const [output, { shape, data }] of Object.entries(expected)) {
    assertEquals([...actual[output].shape], [...shape], `${name}: the shape of ${output}`);
    data.forEach((value, index) => {
      const error = Math.abs(value - actual[output].data[index]);
      assert(
        error <= tolerance * Math.max(1, Math.abs(value)),
        `${name}: ${output}[${index}] is ${actual[output].data[index]}, expected ${value}`,
      );
    });
  }
}

/** What the library itself computes. */
function expectedOf(exportCase: ExportCase): Named {
  const { output } = exportCase.layer.apply(variablesOf(exportCase), exportCase.data, { training: false });
  return namedLeaves(output, "output", namedLeaves(exportCase.data, "input"));
}

function bytesOf(exportCase: ExportCase): Uint8Array {
  return toOnnx(exportCase.layer, variablesOf(exportCase), exportCase.options);
}

/** The operators of a graph and of those inside it. */
function operatorsOf(graph: GraphProto | undefined): string[] {
  return (graph?.node ?? []).flatMap(({ opType, attribute }) => [
    opType,
    ...attribute.flatMap(({ g }) => operatorsOf(g)),
  ]);
}

for (const exportCase of exportCases) {
  Deno.test({
    name: `exported to ONNX, in onnxruntime-web: ${exportCase.name}`,
    permissions: "inherit",
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const bytes = bytesOf(exportCase);
      const operators = operatorsOf(decodeModel(bytes).graph);
      for (const name of exportCase.operators) assert(operators.includes(name), `${name} in ${operators}`);
      for (const name of exportCase.without ?? []) {
        assert(!operators.includes(name), `${name} in ${operators}`);
      }
      const inputs = namedLeaves(exportCase.data, "input");
      assertAgree(exportCase.name, await runOnWeb(bytes, inputs), expectedOf(exportCase));
    },
  });
}

Deno.test({
  name: "ONNX's checker accepts every exported model, and Python's onnxruntime agrees with the library" +
    (python === undefined ? " (needs CELLFOLD_PYTHON)" : ""),
  ignore: python === undefined,
  fn: async () => {
    const cases = exportCases.map((exportCase) => ({
      bytes: bytesOf(exportCase),
      inputs: namedLeaves(exportCase.data, "input"),
    }));
    const results = await runInPython(cases);
    exportCases.forEach((exportCase, index) =>
      assertAgree(exportCase.name, results[index], expectedOf(exportCase))
    );
  },
});
