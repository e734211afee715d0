/**
 * Elementwise operations over one index space, in one pass over registers; and copies, the simplest of them.
 */
import type { DType } from "../../../src/tensor/tensor.ts";
import type { Shape } from "../../../src/tensor/dims.ts";
import type { ElementwiseName } from "../../../src/program/elementwise.ts";
import type { Value } from "../../../src/program/types.ts";
import { type Located, type OpenNumber, sliceView, type View } from "../views.ts";
import { type Kinds, printShape, rowUnits, work } from "./kind.ts";
import type { Rules } from "./rule.ts";

/** What an elementwise operation reads. */
export type Operand =
  | { readonly kind: "constant"; readonly value: number | OpenNumber; readonly dtype: DType }
  | { readonly kind: "view"; readonly view: View }
  /** A result of the same kernel. */
  | { readonly kind: "register"; readonly value: Value };

/** The name of an operation of a fused kernel; `copy` is the identity. */
export type FusedName = Exclude<ElementwiseName, "stopGradient"> | "copy";

/** One elementwise operation of a fused kernel. */
export interface FusedOperation {
  readonly name: FusedName;
  readonly operands: readonly Operand[];
  readonly output: Value;
  /** The dtype of the first operand, which may differ from the output's. */
  readonly inputDType: DType;
  /** Where the result is written; nowhere if only this kernel reads it. */
  readonly stores: readonly View[];
}

/** Elementwise operations over one index space, in one pass over registers. */
export interface FusedKernel {
  readonly kind: "fused";
  readonly shape: Shape;
  readonly operations: readonly FusedOperation[];
}

/** The record of the kind. */
export const fusedKinds: Kinds<FusedKernel> = {
  fused: {
    name: ({ operations }) => {
      const first = operations.slice(0, 3).map(({ name }) => name).join("_");
      return `fused_${first}${operations.length > 3 ? `_and_${operations.length - 3}` : ""}`;
    },
    reads: ({ operations }) =>
      operations.flatMap(({ operands }) => operands.flatMap((x) => x.kind === "view" ? [x.view] : [])),
    writes: ({ operations }) => operations.flatMap(({ stores }) => stores),
    isRowWise: ({ shape }, { rows }) => shape[0] === rows,
    units: ({ shape }) => rowUnits(shape),
    work: ({ shape, operations }, { elements }) =>
      work(elements(shape), elements(shape) * Math.max(1, operations.length / 4)),
    print: (kernel) => `fused ${printShape(kernel)}: ${kernel.operations.map(({ name }) => name).join(" ")}`,
  },
};

/** The operand for a value that is not a result of the same kernel. */
export function operandOf(found: Located): Operand {
  return "view" in found
    ? { kind: "view", view: found.view }
    : { kind: "constant", value: found.constant, dtype: found.dtype };
}

/** A kernel that writes `from` to `to`. */
export function copy(from: Located, to: View): FusedKernel {
  const output: Value = { shape: to.shape, dtype: to.dtype };
  return {
    kind: "fused",
    shape: to.shape,
    operations: [{ name: "copy", operands: [operandOf(from)], output, inputDType: to.dtype, stores: [to] }],
  };
}

/** Operations that only move elements, but need a copy. */
export const copyRules: Rules<"pad" | "concat", FusedKernel> = {
  concat: { lower: () => [] }, // its parts are written into it
  pad: {
    lower: ({ attributes: { low, interior }, inputs: [input] }, output, { locate }) => {
      const inside = sliceView(
        output,
        low,
        input.shape,
        interior.map((gap) => gap + 1),
      );
      return [copy({ constant: 0, dtype: output.dtype }, output), copy(locate(input), inside)];
    },
  },
};
