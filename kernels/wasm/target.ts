/** How products of the wasm backend lie in memory, and how threads share its kernels. */
import type { Target } from "../cpu/target.ts";
import { emissionOf } from "./kinds.ts";
import { BLOCK_TERMS, longProductScratch, panelColumns, PART_TERMS } from "./matmul/mod.ts";

export const wasmTarget: Target = {
  panelColumns,
  partTerms: PART_TERMS,
  longTerms: BLOCK_TERMS,
  shortestRun: 3, // with a vector of four
  longProductScratch,
  cut: (kernel, work, shareFrom) => emissionOf(kernel).cut(kernel, work, shareFrom),
};
