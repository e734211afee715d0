/** What an exported model should compute, and whether others compute it. */
import { assert, assertEquals } from "@std/assert";
import { host, type Tensor, type Tree } from "@cellfold/cellfold";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { flattenTree } from "../../../../src/tree/tree.ts";
import { type ExportCase, variablesOf } from "./cases.ts";
import type { Named } from "./runtime.ts";

/** Of other programs' outputs: sums of a few hundred products in another order, and other tanh and exp. */
export const TOLERANCE = 1e-5;

/** Names for the leaves of a tree, as toOnnx makes them; those that inputs have get another. */
export function namedLeaves(tree: Tree<Tensor>, alone: string, taken: Named = {}): Named {
  const { leaves, paths } = flattenTree<Tensor>(tree);
  return Object.fromEntries(
    leaves.map((leaf, index) => {
      const path = paths[index].length === 0 ? alone : paths[index].join(".");
      return [path in taken ? `output_${path}` : path, host(leaf)];
    }),
  );
}

/** Fails unless both have the same names, shapes and values within the tolerance. */
export function assertAgree(
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
export function expectedOf(exportCase: ExportCase): Named {
  const { output } = exportCase.layer.apply(variablesOf(exportCase), exportCase.data, { training: false });
  return namedLeaves(output, "output", namedLeaves(exportCase.data, "input"));
}

/** The file of a case. */
export function bytesOf(exportCase: ExportCase): Uint8Array<ArrayBuffer> {
  return toOnnx(exportCase.layer, variablesOf(exportCase), exportCase.options);
}
