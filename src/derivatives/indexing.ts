/** The derivatives of operations on indices: reading rows and adding to rows are each other's adjoint. */
import { applyOne } from "../operations/apply.ts";
import { gather, scatterAddOperation } from "../operations/indexing.ts";
import type { Derivatives } from "./rule.ts";

export const indexing: Derivatives<"iota" | "gather" | "scatterAdd"> = {
  iota: undefined,
  gather: ({ inputs: [operand, indices], cotangents: [c] }) => [
    c && applyOne(scatterAddOperation, [indices, c], { rows: operand.shape[0] }),
    undefined,
  ],
  scatterAdd: ({ inputs: [indices], cotangents: [c] }) => [undefined, c && gather(c, indices)],
};
