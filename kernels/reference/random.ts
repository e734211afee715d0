/**
 * Random bits: threefry-2x32 over the flat index. Element i is word `i & 1` of the block with counter
 * `(i >> 1, counter)`.
 */
import { threefry2x32 } from "../../src/tensor/threefry.ts";
import type { KernelBuilder, Kernels } from "./kernel.ts";

const randomBits: KernelBuilder<"randomBits"> = () => ([key, counter], [out]) => {
  for (let i = 0; i < out.length; i += 2) {
    const words = threefry2x32(key[0], key[1], i >>> 1, counter[0]);
    out[i] = words[0];
    if (i + 1 < out.length) out[i + 1] = words[1];
  }
};

/** The builder of the random kernel. */
export const random: Kernels<"randomBits"> = { randomBits };
