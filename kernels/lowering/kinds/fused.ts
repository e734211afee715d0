/**
 * Elementwise operations over one index space, in one pass over registers; and copies, the simplest of them.
 */
import type { DType } from "../../../src/tensor/tensor.ts";
import { addDims, type Dim, sameShape, type Shape, subtractDims } from "../../../src/tensor/dims.ts";
import type { ElementwiseName } from "../../../src/program/elementwise.ts";
import type { Attributes, Value } from "../../../src/program/types.ts";
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
  /** Totals of the rows of a space `[rows, columns]`; only where a target joins kernels are there any. */
  readonly totals?: readonly RowTotal[];
  /** Sums of the columns of such a space, where rows of a loop share them. */
  readonly columnTotals?: readonly ColumnTotal[];
}

/** The sum or the maximum of each row of a value that a fused kernel reads or computes. */
export interface RowTotal {
  readonly name: "sum" | "max";
  readonly operand: Operand;
  /** `[rows]`. */
  readonly output: View;
}

/** The sums of the columns of a value over all rows of a share of the work, and over all steps of the loop around. */
export interface ColumnTotal {
  readonly operand: Operand;
  /** `[columns]`, with a place for each share. */
  readonly total: View;
  /** What rounding has lost of it. */
  readonly lost: View;
  /** The sum of a few rows, which is zero before and after. */
  readonly part: View;
}

/** What it reads at each index. */
export function operandsOf({ operations, totals = [], columnTotals = [] }: FusedKernel): readonly Operand[] {
  return [
    ...operations.flatMap(({ operands }) => operands),
    ...[...totals, ...columnTotals].map(({ operand }) => operand),
  ];
}

/** What it computes, in order. */
function namesOf({ operations, totals = [], columnTotals = [] }: FusedKernel): string[] {
  return [...[...operations, ...totals].map(({ name }) => name), ...columnTotals.map(() => "total")];
}

function columnsOf({ columnTotals = [] }: FusedKernel): View[] {
  return columnTotals.flatMap(({ total, lost, part }) => [total, lost, part]);
}

/** The record of the kind. */
export const fusedKinds: Kinds<FusedKernel> = {
  fused: {
    name: (kernel) => {
      const names = namesOf(kernel), first = names.slice(0, 3).join("_");
      return `fused_${first}${names.length > 3 ? `_and_${names.length - 3}` : ""}`;
    },
    reads: (kernel) => [
      ...operandsOf(kernel).flatMap((x) => x.kind === "view" ? [x.view] : []),
      ...columnsOf(kernel),
    ],
    writes: (kernel) => [
      ...kernel.operations.flatMap(({ stores }) => stores),
      ...(kernel.totals ?? []).map(({ output }) => output),
      ...columnsOf(kernel),
    ],
    isRowWise: ({ shape }, { rows }) => shape[0] === rows,
    units: ({ shape }) => rowUnits(shape),
    work: ({ shape, operations, totals = [], columnTotals = [] }, { elements }) => {
      const sums = totals.length + columnTotals.length;
      return work(elements(shape), elements(shape) * Math.max(1, operations.length / 4 + sums));
    },
    print: (kernel) => `fused ${printShape(kernel)}: ${namesOf(kernel).join(" ")}`,
  },
};

/** The operand for a value that is not a result of the same kernel. */
export function operandOf(found: Located): Operand {
  return "view" in found
    ? { kind: "view", view: found.view }
    : { kind: "constant", value: found.constant, dtype: found.dtype };
}

/** A kernel that writes `from` to `to`, and to other places of the same shape. */
export function copy(from: Located, to: View, ...others: readonly View[]): FusedKernel {
  const output: Value = { shape: to.shape, dtype: to.dtype };
  return {
    kind: "fused",
    shape: to.shape,
    operations: [{
      name: "copy",
      operands: [operandOf(from)],
      output,
      inputDType: to.dtype,
      stores: [to, ...others],
    }],
  };
}

/** The kernels that fill what a padding adds around its input: all of it if elements between are added too. */
function fillAround(output: View, { low, interior }: Attributes["pad"], inside: Shape): FusedKernel[] {
  const zero = { constant: 0, dtype: output.dtype };
  if (interior.some((gap) => gap > 0)) return [copy(zero, output)];
  let rest = output;
  return inside.flatMap((size, axis) => {
    const whole = rest, every = whole.shape.map(() => 1);
    const part = (from: Dim, size: Dim) =>
      sliceView(
        whole,
        whole.shape.map((_, other) => other === axis ? from : 0),
        whole.shape.with(axis, size),
        every,
      );
    const end = addDims(low[axis], size), high = subtractDims(whole.shape[axis], end);
    rest = part(low[axis], size);
    const before = part(0, low[axis]), after = part(end, high);
    // Pieces of the same shape are one kernel.
    if (sameShape(before.shape, after.shape)) return low[axis] === 0 ? [] : [copy(zero, before, after)];
    return [before, after].filter(({ shape }) => shape[axis] !== 0).map((piece) => copy(zero, piece));
  });
}

/** Operations that only move elements, but need a copy. */
export const copyRules: Rules<"pad" | "concat", FusedKernel> = {
  concat: { lower: () => [] }, // its parts are written into it
  pad: {
    lower: ({ attributes, inputs: [input] }, output, { locate }) => {
      const { low, interior } = attributes;
      const inside = sliceView(
        output,
        low,
        input.shape,
        interior.map((gap) => gap + 1),
      );
      return [...fillAround(output, attributes, input.shape), copy(locate(input), inside)];
    },
  },
};
