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
