/**
 * Packed operands that stay the same from call to call, such as weights. The packed form of a tensor belongs
 * to that tensor: whatever reads it, for whichever sizes, finds it packed, and it is freed with the tensor.
 */
import type { Input } from "../backend.ts";
import { type Attached, StoredTensor } from "../stored_tensor.ts";
import type { WasmKernelOf } from "./kernels.ts";

/** A kernel that packs an operand which stays packed, and so has a fixed size. */
export interface StayingPack extends WasmKernelOf<"pack"> {
  readonly packed: WasmKernelOf<"pack">["packed"] & { readonly size: number };
}

/** The index of the input that a kernel packs. */
export function packedInput({ right: { buffer: { storage } } }: StayingPack): number {
  if (storage.kind !== "input") throw new Error("Only inputs stay packed");
  return storage.index;
}

/** The packed form of each operand, where it belongs to a tensor on the device. */
export function packedFor(packs: readonly StayingPack[], inputs: readonly Input[]): (Attached | undefined)[] {
  return packs.map((kernel) => {
    const input = inputs[packedInput(kernel)];
    return input instanceof StoredTensor ? packedOf(input, kernel) : undefined;
  });
}

/** The packed form of a tensor for a kernel. */
export function packedOf(tensor: StoredTensor, { right, packed }: StayingPack): Attached {
  return tensor.attach(`packed [${right.shape}] by [${right.strides}] from ${right.offset}`, packed.size * 4);
}
