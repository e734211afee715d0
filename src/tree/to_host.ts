/** Copies the tensors of trees from their devices to the host. */
import type { HostTensor, Tensor } from "../tensor/tensor.ts";
import { flattenTree, type MappedTree, unflattenTree } from "./tree.ts";

/**
 * A tree with every tensor on the host; tensors that are there already are returned unchanged.
 *
 * @throws Error if a device tensor was disposed.
 */
export async function toHost<T>(tree: T): Promise<MappedTree<T, HostTensor>> {
  const { leaves, structure } = flattenTree<Tensor>(tree);
  const read = await Promise.all(
    leaves.map((leaf): Promise<HostTensor> | Tensor => leaf.kind === "device" ? leaf.read() : leaf),
  );
  return unflattenTree(structure, read);
}
