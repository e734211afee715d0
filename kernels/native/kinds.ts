/** How every kind of kernel is written in C, and what lowering needs to know of it. */
import { joinInLoops } from "../cpu/joined.ts";
import type { CpuKernel } from "../cpu/kernels.ts";
import { shareSums } from "../cpu/shared_sums.ts";
import type { Target } from "../cpu/target.ts";
import { longProductFloats, TURNED_TERMS } from "./c/long_product.ts";
import { PANEL_COLUMNS } from "./c/product.ts";
import { cumsumEmission } from "./emit/cumsum.ts";
import { fusedEmission } from "./emit/fused.ts";
import { indexingEmission } from "./emit/indexing.ts";
import type { EmittedKind, EmittedKinds } from "./emit/kind.ts";
import { productEmission } from "./emit/product.ts";
import { randomEmission } from "./emit/random.ts";
import { reductionEmission } from "./emit/reduce.ts";
import { scanEmission } from "./emit/scan.ts";
import { sumOfProductsEmission } from "./emit/sum_of_products.ts";

const emitted: EmittedKinds<CpuKernel> = {
  ...fusedEmission,
  ...reductionEmission,
  ...cumsumEmission,
  ...productEmission,
  ...indexingEmission,
  ...randomEmission,
  ...scanEmission,
  ...sumOfProductsEmission,
};

/** How the kind of this kernel is written. */
export function emissionOf<Kernel extends CpuKernel>({ kind }: Kernel): EmittedKind<Kernel> {
  return emitted[kind] as EmittedKind<CpuKernel>; // the record of this very kind
}

/** How products lie in memory, and how threads share kernels. */
export const nativeTarget: Target = {
  panelColumns: PANEL_COLUMNS,
  partTerms: Infinity,
  longTerms: TURNED_TERMS,
  shortestRun: 8,
  rewrite: (kernels, threads) => shareSums(joinInLoops(kernels), threads),
  longProductScratch: (rows, columns) => longProductFloats(rows, columns) * 4,
  cut: (kernel, work, shareFrom) => emissionOf(kernel).cut(kernel, work, shareFrom),
};
