/** Matrix products, with their addends. */
import type { Dim } from "../../../src/tensor/dims.ts";
import { type Columns, placeAddends } from "../addends.ts";
import { transposeView, type View } from "../views.ts";
import { type Kinds, printShape, type Sizes, work, type WorkOfUnits } from "./kind.ts";
import type { Rules } from "./rule.ts";
import { sizeOf } from "../../shapes.ts";

/** What all products have, wherever their right operand lies. */
export interface Product {
  readonly left: View;
  readonly output: View;
  readonly k: Dim;
  /**
   * The addends of columns from `first` on, `[m, columns]` with contiguous columns, in order and without
   * overlap.
   */
  readonly addends: readonly { readonly first: number; readonly view: Columns }[];
}

/** `[m, k] × [k, n]`, or a batch of such products. */
export interface MatmulKernel extends Product {
  readonly kind: "matmul";
  readonly right: View;
}

/** The units of a product: rows, or matrices of a batch. */
export function productUnits({ output: { shape } }: Product): Dim {
  return shape.length === 2 ? shape[0] : sizeOf(shape.slice(0, -2));
}

/** The rest of the work of a product. */
export function productWork({ output: { shape }, k }: Product, { of, elements }: Sizes): WorkOfUnits {
  return work(elements(shape), elements(shape) * of(k));
}

/** A product as text. */
export function printProduct({ left, output, addends }: Product): string {
  const more = addends.length === 0 ? "" : ` with ${addends.length} addend${addends.length > 1 ? "s" : ""}`;
  return `matmul ${printShape(left)} -> ${printShape(output)}${more}`;
}

/** The record of the kind. */
export const productKinds: Kinds<MatmulKernel> = {
  matmul: {
    reads: ({ left, right, addends }) => [left, right, ...addends.map(({ view }) => view)],
    writes: ({ output }) => [output],
    isRowWise: ({ left, right }, { isWritten }) => left.shape.length === 2 && !isWritten(right.buffer),
    units: productUnits,
    work: productWork,
    print: printProduct,
  },
};

/** The rule for the operation. */
export const productRules: Rules<"matmul", MatmulKernel> = {
  matmul: {
    lower: (equation, output, { viewIn, addendsOf }) => {
      const { inputs, attributes: { transposeLeft, transposeRight } } = equation;
      const flip = (view: View, flipped: boolean) => {
        const axes = view.shape.map((_, axis) => axis);
        return flipped ? transposeView(view, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]) : view;
      };
      const left = flip(viewIn(inputs[0]), transposeLeft);
      const right = flip(viewIn(inputs[1]), transposeRight);
      const addends = placeAddends(addendsOf.get(equation) ?? [], viewIn, left.shape[0]);
      return [{ kind: "matmul", left, right, output, k: left.shape[left.shape.length - 1], addends }];
    },
  },
};
