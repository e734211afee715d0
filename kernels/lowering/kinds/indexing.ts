/** Rows by index, and sums of rows by index. */
import { requireRows } from "../../../src/program/empty.ts";
import { evaluateDim, evaluateShape, isAtMost } from "../../../src/tensor/dims.ts";
import type { Buffer, View } from "../views.ts";
import { type Kinds, printShape, rowUnits, work } from "./kind.ts";
import { arena, type Rules } from "./rule.ts";
import { sizeOf } from "../../shapes.ts";

/** Rows of a table by index. */
export interface GatherKernel {
  readonly kind: "gather";
  readonly operand: View;
  readonly indices: View;
  readonly output: View;
}

/** Sums of rows by index. */
export interface ScatterKernel {
  readonly kind: "scatterAdd";
  readonly indices: View;
  readonly updates: View;
  readonly output: View;
  /**
   * Where rounding errors are kept, in row-major order of the output's shape; absent if they are negligible.
   */
  readonly lost?: Buffer;
}

/** A kernel of this family. */
export type IndexingKernel = GatherKernel | ScatterKernel;

/** Up to this many terms are added one after another; with more, rounding errors are kept and added. */
const FEW_TERMS = 32;

/** The records of the kinds. */
export const indexingKinds: Kinds<IndexingKernel> = {
  gather: {
    reads: ({ operand, indices }) => [operand, indices],
    writes: ({ output }) => [output],
    isRowWise: ({ operand }, { isWritten }) => !isWritten(operand.buffer),
    units: ({ output }) => rowUnits(output.shape),
    work: ({ output: { shape } }, { elements }) => work(elements(shape)),
    print: ({ operand, output }) => `gather ${printShape(operand)} -> ${printShape(output)}`,
  },
  scatterAdd: {
    reads: ({ indices, updates }) => [indices, updates],
    writes: ({ output }) => [output],
    hidden: ({ lost }) => lost ? [lost] : [],
    isRowWise: () => false,
    units: () => 1,
    work: ({ output, updates }, { elements }) =>
      work(elements(output.shape.slice(1)), elements(updates.shape)),
    print: ({ updates, output }) => `scatterAdd ${printShape(updates)} -> ${printShape(output)}`,
  },
};

/** The rules for the operations. */
export const indexingRules: Rules<"gather" | "scatterAdd", IndexingKernel> = {
  gather: {
    lower: ({ inputs: [operand, indices] }, output, { viewIn, check }) => {
      check((bindings) =>
        requireRows("gather", evaluateDim(operand.shape[0], bindings), evaluateShape(indices.shape, bindings))
      );
      return [{ kind: "gather", operand: viewIn(operand), indices: viewIn(indices), output }];
    },
  },
  scatterAdd: {
    lower: ({ inputs: [index, updates] }, output, { viewIn, check }) => {
      const indices = viewIn(index);
      check((bindings) =>
        requireRows(
          "scatterAdd",
          evaluateDim(output.shape[0], bindings),
          evaluateShape(index.shape, bindings),
        )
      );
      // All indices may refer to one row.
      const isLong = output.dtype === "float32" && !isAtMost(sizeOf(indices.shape), FEW_TERMS);
      return [{
        kind: "scatterAdd",
        indices,
        updates: viewIn(updates),
        output,
        ...(isLong && { lost: arena("lost by rounding", sizeOf(output.shape)) }),
      }];
    },
  },
};
