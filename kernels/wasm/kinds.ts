/** How every kind of kernel is emitted. */
import { cumsumEmission } from "./emit/cumsum.ts";
import { fusedEmission } from "./emit/fused.ts";
import { indexingEmission } from "./emit/indexing.ts";
import type { EmittedKind, EmittedKinds } from "./emit/kind.ts";
import { productEmission } from "./emit/matmul.ts";
import { randomEmission } from "./emit/random.ts";
import { reductionEmission } from "./emit/reduce.ts";
import { scanEmission } from "./emit/scan.ts";
import { sumOfProductsEmission } from "./emit/sum_of_products.ts";
import type { CpuKernel } from "../cpu/kernels.ts";

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

/** How the kind of this kernel is emitted. */
export function emissionOf<Kernel extends CpuKernel>({ kind }: Kernel): EmittedKind<Kernel> {
  return emitted[kind] as EmittedKind<CpuKernel>; // the record of this very kind
}
