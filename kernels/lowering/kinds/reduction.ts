/** Sums and maxima over axes, and the index of the largest. */
import { requireElements } from "../../../src/program/empty.ts";
import { evaluateShape } from "../../../src/tensor/dims.ts";
import type { View } from "../views.ts";
import { type Kinds, printShape, rowUnits, type Sizes, work } from "./kind.ts";
import type { Rule, Rules } from "./rule.ts";

/** A sum or maximum over axes. */
export interface ReduceKernel {
  readonly kind: "reduce";
  readonly name: "sum" | "max";
  readonly input: View;
  readonly axes: readonly number[];
  readonly output: View;
}

/** The index of the first largest along an axis. */
export interface ArgmaxKernel {
  readonly kind: "argmax";
  readonly input: View;
  readonly axis: number;
  readonly output: View;
}

/** A kernel of this family. */
export type ReductionKernel = ReduceKernel | ArgmaxKernel;

const unitsOf = ({ output }: ReductionKernel) => rowUnits(output.shape);
const workOf = ({ input, output }: ReductionKernel, { elements }: Sizes) =>
  work(elements(output.shape), elements(input.shape));

/** The records of the kinds. */
export const reductionKinds: Kinds<ReductionKernel> = {
  reduce: {
    reads: ({ input }) => [input],
    writes: ({ output }) => [output],
    isRowWise: ({ axes }) => !axes.includes(0),
    units: unitsOf,
    work: workOf,
    print: ({ name, input, output }) => `${name} ${printShape(input)} -> ${printShape(output)}`,
  },
  argmax: {
    reads: ({ input }) => [input],
    writes: ({ output }) => [output],
    isRowWise: ({ axis }) => axis !== 0,
    units: unitsOf,
    work: workOf,
    print: ({ input, output }) => `argmax ${printShape(input)} -> ${printShape(output)}`,
  },
};

/** The rule for a sum or a maximum. */
function reduceRule<Name extends ReduceKernel["name"]>(name: Name): Rule<Name, ReduceKernel> {
  return {
    lower: ({ inputs: [input], attributes: { axes } }, output, { viewIn }) => [
      { kind: "reduce", name, input: viewIn(input), axes, output },
    ],
  };
}

/** The rules for the operations. */
export const reductionRules: Rules<"sum" | "max" | "argmax", ReductionKernel> = {
  sum: reduceRule("sum"),
  max: reduceRule("max"),
  argmax: {
    lower: ({ inputs: [input], attributes: { axis } }, output, { viewIn, check }) => {
      check((bindings) => requireElements(evaluateShape(input.shape, bindings), axis));
      return [{ kind: "argmax", input: viewIn(input), axis, output }];
    },
  },
};
