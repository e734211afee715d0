/** Single samples as one batch. */
import { allocateValues, type HostTensor, hostTensor, isTensor, printSpec } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, unflattenTree } from "../tree/tree.ts";

/**
 * A batch of samples: trees of one structure, whose tensors are joined along a new first axis.
 *
 * @param samples At least one; all have tensors of the same shapes and dtypes on the host.
 * @throws TypeError naming the sample that differs from the first one.
 */
export function stackSamples<T>(samples: readonly T[]): T {
  const { leaves: first, structure, paths } = flattenTree<HostTensor>(samples[0], "sample 0");
  const all = samples.map((sample, index) => {
    checkSameStructure(samples[0], sample, { first: "sample 0 of the batch", second: `sample ${index}` });
    const { leaves } = flattenTree<HostTensor>(sample);
    leaves.forEach((leaf, place) => {
      if (isTensor(leaf) && leaf.kind === "host" && printSpec(leaf) === printSpec(first[place])) return;
      throw new TypeError(
        `Cannot make a batch of samples: ${printPath(paths[place], `sample ${index}`)} is ${
          printSpec(leaf)
        }` +
          `${
            isTensor(leaf) && leaf.kind !== "host" ? " on a device" : ""
          }, expected a tensor on the host like ` +
          `${printSpec(first[place])} in sample 0; for sequences of different lengths use bucketByLength`,
      );
    });
    return leaves;
  });
  const stacked = first.map(({ dtype, shape, data: { length } }, place) => {
    const values = allocateValues(dtype, samples.length * length);
    all.forEach((leaves, index) => values.set(leaves[place].data, index * length));
    return hostTensor(values, [samples.length, ...shape]);
  });
  return unflattenTree<T>(structure, stacked);
}
