/** Frees device memory. */
import { type DeviceTensor, isLeaf, type Tensor } from "../tensor/tensor.ts";

/** Frees the tensors of a tree that are on a device, except those that are also in `kept`. */
export function disposeTree(tree: unknown, kept?: unknown): void {
  const own = onDevice(tree);
  if (own.length === 0) return;
  const others = new Set(onDevice(kept));
  for (const tensor of own) if (!others.has(tensor)) tensor[Symbol.dispose]();
}

/** The tensors of a tree that are on a device. Each step asks for them, so this makes nothing else, such as paths. */
function onDevice(tree: unknown, found: DeviceTensor[] = []): DeviceTensor[] {
  if (Array.isArray(tree)) {
    for (const part of tree) onDevice(part, found);
  } else if (isLeaf(tree)) {
    const tensor = tree as Tensor; // the trees that are freed have no specs
    if (tensor.kind === "device") found.push(tensor);
  } else if (typeof tree === "object" && tree !== null) {
    for (const part of Object.values(tree)) onDevice(part, found);
  }
  return found;
}
