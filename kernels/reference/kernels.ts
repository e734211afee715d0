/** The table of all kernels of the reference backend; the type checker reports a missing primitive. */
import type { OperationName } from "../../src/program/types.ts";
import type { Kernels } from "./kernel.ts";
import { convolutions } from "./convolve.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { products } from "./matmul.ts";
import { random } from "./random.ts";
import { reduction } from "./reduction.ts";
import { folds } from "./scan.ts";
import { structure } from "./structure.ts";

/** The builder of each primitive's kernel. */
export const kernels: Kernels<OperationName> = {
  ...elementwise,
  ...structure,
  ...reduction,
  ...products,
  ...convolutions,
  ...random,
  ...indexing,
  ...folds,
};
