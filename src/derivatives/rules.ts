/** The table of all derivatives; the type checker reports a missing primitive. */
import type { OperationName } from "../program/types.ts";
import { convolutions } from "./convolution.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { products } from "./matmul.ts";
import { reduction } from "./reduction.ts";
import type { Derivatives } from "./rule.ts";
import { folds } from "./scan.ts";
import { structure } from "./structure.ts";

/** The rule of each primitive. */
export const derivatives: Derivatives<OperationName> = {
  ...elementwise,
  ...structure,
  ...reduction,
  ...products,
  ...convolutions,
  ...indexing,
  ...folds,
  constant: undefined,
  randomBits: undefined,
};
