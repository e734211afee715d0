import { assert } from "@std/assert";
import { decodeModel, type GraphProto } from "../../../formats/onnx/protos.ts";
import { assertAgree, bytesOf, expectedOf, namedLeaves } from "./support/agree.ts";
import { exportCases } from "./support/cases.ts";
import { guideCases } from "./support/guide_cases.ts";
import { optionCases } from "./support/option_cases.ts";
import { windowCases } from "./support/window_cases.ts";
import { python, runInPython, runOnWeb, webMissing, webNeeds } from "./support/runtime.ts";

const cases = [...exportCases, ...optionCases, ...guideCases, ...windowCases];

/** The operators of a graph and of those inside it. */
function operatorsOf(graph: GraphProto | undefined): string[] {
  return (graph?.node ?? []).flatMap(({ opType, attribute }) => [
    opType,
    ...attribute.flatMap(({ g }) => operatorsOf(g)),
  ]);
}

for (const exportCase of cases) {
  Deno.test({
    name: `exported to ONNX, in onnxruntime-web: ${exportCase.name}${webNeeds}`,
    ignore: webMissing,
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
    const files = cases.map((exportCase) => ({
      bytes: bytesOf(exportCase),
      inputs: namedLeaves(exportCase.data, "input"),
    }));
    const results = await runInPython(files);
    cases.forEach((exportCase, index) =>
      assertAgree(exportCase.name, results[index], expectedOf(exportCase))
    );
  },
});
