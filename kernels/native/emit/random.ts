/**
 * Random bits: threefry-2x32 with 20 rounds (Salmon et al., 2011). Element i is word `i mod 2` of the block with the
 * counter `(i div 2, counter)`, as on every backend.
 */
import { addDims, multiplyDims } from "../../../src/tensor/dims.ts";
import type { RandomKernel } from "../../lowering/kinds/random.ts";
import { sizeOf } from "../../shapes.ts";
import type { KernelSource } from "./code.ts";
import { type EmittedKinds, uncut } from "./kind.ts";

/** Writes the function of `randomBits`, whose buffer is its own. */
function emitRandom(f: KernelSource, { key, counter, output }: RandomKernel): void {
  const word = (index: number) =>
    `*${f.pointer(key, addDims(key.offset, multiplyDims(key.strides[0], index)))}`;
  const to = f.pointer(output), size = f.size(sizeOf(output.shape));
  f.line(
    `threefry(${to}, ${size}, (uint32_t)${word(0)}, (uint32_t)${word(1)}, (uint32_t)*${f.pointer(counter)});`,
  );
}

/** How this kind is written. */
export const randomEmission: EmittedKinds<RandomKernel> = { randomBits: { emit: emitRandom, cut: uncut } };
