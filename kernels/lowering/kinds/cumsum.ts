/** Running sums along an axis. */
import type { View } from "../views.ts";
import { type Kinds, printShape, rowUnits, work } from "./kind.ts";
import type { Rules } from "./rule.ts";

/** The sums along an axis up to each element. */
export interface CumsumKernel {
  readonly kind: "cumsum";
  readonly input: View;
  readonly axis: number;
  /** Each element is left out of its own sum. */
  readonly exclusive: boolean;
  /** Sums begin at the end of the axis. */
  readonly reverse: boolean;
  readonly output: View;
}

/** The record of the kind. */
export const cumsumKinds: Kinds<CumsumKernel> = {
  cumsum: {
    reads: ({ input }) => [input],
    writes: ({ output }) => [output],
    isRowWise: ({ axis }) => axis !== 0,
    units: ({ axis, output: { shape } }) => axis === 0 ? 1 : rowUnits(shape),
    work: ({ axis, output: { shape } }, { elements }) =>
      work(elements(shape.toSpliced(axis, 1)), elements(shape)),
    print: ({ axis, output }) => `cumsum ${printShape(output)} along ${axis}`,
  },
};

/** The rule for the operation. */
export const cumsumRules: Rules<"cumsum", CumsumKernel> = {
  cumsum: {
    lower: ({ inputs: [input], attributes }, output, { viewIn }) => [
      { kind: "cumsum", input: viewIn(input), ...attributes, output },
    ],
  },
};
