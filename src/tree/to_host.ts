/** Copies the tensors of trees from their devices to the host. */
import type { HostTensor, Tensor } from "../tensor/tensor.ts";
import { flattenTree, type MappedTree, unflattenTree } from "./tree.ts";

/**
 * A tree with every tensor on the host; tensors that are there already are returned unchanged.
 *
 * @throws Error if a device tensor was disposed.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { add, compile, type Tensor, tensor, toHost } from "@cellfold/cellfold";
 * using double = compile((x: Tensor) => ({ sum: add(x, x) }), { keep: true }); // results stay on the device
 * const { sum } = await toHost(await double(tensor([1, 2])));
 * assertEquals([...sum.data], [2, 4]);
 * ```
 */
export async function toHost<T>(tree: T): Promise<MappedTree<T, HostTensor>> {
  const { leaves, structure } = flattenTree<Tensor>(tree);
  const read = await Promise.all(
    leaves.map((leaf): Promise<HostTensor> | Tensor => leaf.kind === "device" ? leaf.read() : leaf),
  );
  return unflattenTree(structure, read);
}
