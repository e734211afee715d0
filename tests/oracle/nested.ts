/** The guide's cell of nested inputs, written from the public operations: lists in, lists out, nothing special. */
import {
  add,
  einsum,
  type RecurrentCell,
  type Spec,
  type Tensor,
  type Tree,
  uniform,
  zeros,
} from "@cellfold/cellfold";
import type { JsonObject } from "./format.ts";

interface Params {
  /** `[i1, unit1]`. */
  readonly kernel1: Tensor;
  /** `[i2, i3, unit2, unit3]`. */
  readonly kernel23: Tensor;
}

type Pair = readonly [first: Tensor, second: Tensor];

/**
 * The cell for sizes `i1, i2, i3, unit_1, unit_2, unit_3`. Input `[[batch, i1], [batch, i2, i3]]`; output and state
 * `[[batch, unit1], [batch, unit2, unit3]]`; the state is the sum of the outputs so far.
 */
export function nestedCell(config: JsonObject): RecurrentCell {
  const size = (name: string) => Number(config[name]);
  const [i1, i2, i3] = ["i1", "i2", "i3"].map(size);
  const [unit1, unit2, unit3] = ["unit_1", "unit_2", "unit_3"].map(size);
  return {
    type: "nestedCell",
    options: { i1, i2, i3, unit1, unit2, unit3 },
    initParams: (key) => ({
      kernel1: uniform(key, [i1, unit1]),
      kernel23: uniform(key, [i2, i3, unit2, unit3]),
    }),
    initState: (_, input) => {
      const [first] = input as readonly Spec[]; // the input is a pair
      const [batch] = first.shape;
      return [zeros([batch, unit1]), zeros([batch, unit2, unit3])];
    },
    step: (params) => {
      const { kernel1, kernel23 } = params as unknown as Params; // made by initParams
      return (state: Tree<Tensor>, input: Tree<Tensor>) => {
        const [x1, x2] = input as Pair; // the input is a pair, and so is the state
        const [s1, s2] = state as Pair;
        const output: Pair = [
          einsum("bi,ij->bj", x1, kernel1),
          einsum("bij,ijkl->bkl", x2, kernel23),
        ];
        return [output, [add(s1, output[0]), add(s2, output[1])]];
      };
    },
  };
}
