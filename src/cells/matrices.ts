/**
 * What cells that multiply their input and their state by one matrix each have in common: `x·W + h·U + b`.
 */
import { splitKey } from "../operations/random.ts";
import { fixedSize, type HostTensor, type Spec, type Tensor } from "../tensor/tensor.ts";
import type { ResolvedCellOptions } from "./define.ts";

const names = ["kernel", "recurrentKernel"] as const;

/**
 * The parts of a cell definition that follow from both matrices.
 *
 * @param units The size of the state.
 * @param columns The number of columns of both: the units of all gates together.
 * @param bias Makes the bias, if the options have it.
 */
export function matrices(
  { useBias, kernelInitializer, recurrentInitializer, rules }: ResolvedCellOptions,
  units: number,
  columns: number,
  bias: (key: Tensor) => HostTensor,
) {
  return {
    ...rules,
    params: useBias ? [...names, "bias"] as const : names,
    step: { text: "[batch, features]", rank: 2 },
    features: ({ kernel }: { readonly kernel: Tensor }) => fixedSize(kernel, 0),
    initParams: (key: Tensor, input: Spec) => {
      const [forKernel, forRecurrent, forBias] = splitKey(key, 3);
      return {
        kernel: kernelInitializer(forKernel, [fixedSize(input, 1), columns]),
        recurrentKernel: recurrentInitializer(forRecurrent, [units, columns]),
        ...(useBias ? { bias: bias(forBias) } : {}),
      };
    },
  };
}
