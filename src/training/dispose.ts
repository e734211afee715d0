/** Frees device memory. */
import type { Tensor } from "../tensor/tensor.ts";
import { flattenTree } from "../tree/tree.ts";

/** Frees the tensors of a tree that are on a device, except those that are also in `kept`. */
export function disposeTree(tree: unknown, kept?: unknown): void {
  const others = kept === undefined ? undefined : new Set(flattenTree<Tensor>(kept).leaves);
  for (const leaf of flattenTree<Tensor>(tree).leaves) {
    if (leaf.kind === "device" && !others?.has(leaf)) leaf[Symbol.dispose]();
  }
}
