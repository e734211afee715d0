/** The LSTM cell with layer normalization (Ba, Kiros and Hinton, "Layer Normalization", 2016). */
import { checkRange } from "../options/checks.ts";
import { checkCount } from "../describe.ts";
import { add, div, mul, type Operand, sqrt, square, sub } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { mean } from "../operations/reduction.ts";
import { split } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import { type HostTensor, hostTensor, type Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { LstmState, RecurrentCell } from "./cell.ts";
import {
  defineCell,
  drawDropouts,
  gatedCellOptionNames,
  type GatedCellOptions,
  lstmBias,
  resolveCellOptions,
} from "./define.ts";
import { matrices } from "./matrices.ts";

/** Options of {@linkcode layerNormLstmCell}. */
export interface LayerNormLstmCellOptions extends GatedCellOptions {
  /** The size of the state and the output. */
  readonly units: number;
  /** Whether the bias of the forget gate starts at 1; default true. */
  readonly unitForgetBias?: boolean;
  /** Added to the variance; default 0.001. */
  readonly epsilon?: number;
}

/** The names of `LayerNormLstmCellOptions`. */
export const layerNormLstmCellOptionNames = [
  "units",
  "unitForgetBias",
  "epsilon",
  ...gatedCellOptionNames,
] as const;

interface Params {
  /** `[features, 4·units]`, gates i, f, c, o. */
  readonly kernel: Tensor;
  /** `[units, 4·units]`. */
  readonly recurrentKernel: Tensor;
  /** `[4·units]`. */
  readonly bias?: Tensor;
  /** `[4·units]`: gain and shift of the normalized x·W. */
  readonly inputGamma: Tensor;
  readonly inputBeta: Tensor;
  /** `[4·units]`: gain and shift of the normalized h·U. */
  readonly recurrentGamma: Tensor;
  readonly recurrentBeta: Tensor;
  /** `[units]`: gain and shift of the normalized c. */
  readonly cellGamma: Tensor;
  readonly cellBeta: Tensor;
}

const normNames = [
  "inputGamma",
  "inputBeta",
  "recurrentGamma",
  "recurrentBeta",
  "cellGamma",
  "cellBeta",
] as const;

/**
 * The LSTM cell with layer normalization:
 *
 *     z = LN(x·W; inputGamma, inputBeta) + LN(h·U; recurrentGamma, recurrentBeta) + b
 *     i, f, c̃, o = the four parts of z
 *     c = recurrentActivation(f)·c + recurrentActivation(i)·activation(c̃)
 *     h = recurrentActivation(o)·activation(LN(c; cellGamma, cellBeta))
 *
 *     LN(v; gamma, beta) = gamma·(v - mean(v)) / √(variance(v) + epsilon) + beta
 *
 * with mean and variance over all values of one row. The state is `[h, c]`, each `[batch, units]`, `c` before
 * its normalization; the output is `h`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, layerNormLstmCell, rnn, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(layerNormLstmCell({ units: 4 }));
 * assertEquals(treeLeaves(layer.initParams(key(0), spec([null, null, 3]))).length, 9);
 * ```
 */
export function layerNormLstmCell(
  options: LayerNormLstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  const type = "layerNormLstmCell";
  const resolved = resolveCellOptions(type, options, layerNormLstmCellOptionNames);
  const { units, unitForgetBias = true, epsilon = 1e-3 } = options;
  checkCount(`make ${type}`, units, "units");
  checkRange(type, "epsilon", epsilon, { above: 0 });
  const { activation, recurrentActivation } = resolved;
  const products = matrices(
    resolved,
    units,
    4 * units,
    (key) => lstmBias(resolved.biasInitializer, key, units, unitForgetBias),
  );
  return defineCell<Params, LstmState>({
    type,
    options: { units, unitForgetBias, epsilon, ...resolved.json },
    ...products,
    params: [...products.params, ...normNames],
    initParams: (key, input) => ({
      ...products.initParams(key, input),
      inputGamma: constant(4 * units, 1),
      inputBeta: constant(4 * units, 0),
      recurrentGamma: constant(4 * units, 1),
      recurrentBeta: constant(4 * units, 0),
      cellGamma: constant(units, 1),
      cellBeta: constant(units, 0),
    }),
    initState: ({ kernel }, input) => {
      const zero = zeros([input.shape[0], units], { dtype: kernel.dtype });
      return [zero, zero];
    },
    build: (params, context) => {
      const { onInput, onState } = drawDropouts(type, resolved, context, [context.input.shape[0], units]);
      const { kernel, recurrentKernel } = params;
      const b: Operand = params.bias ?? 0;
      const norm = (v: Tensor, gamma: Tensor, beta: Tensor) => layerNorm(v, gamma, beta, epsilon);
      return ([h, c], x) => {
        const fromInput = norm(matmul(onInput(x), kernel), params.inputGamma, params.inputBeta);
        const fromState = norm(
          matmul(onState(h), recurrentKernel),
          params.recurrentGamma,
          params.recurrentBeta,
        );
        const [zi, zf, zc, zo] = split(add(add(fromInput, b), fromState), 4);
        const i = recurrentActivation(zi);
        const f = recurrentActivation(zf);
        const g = activation(zc);
        const o = recurrentActivation(zo);
        const nextC = add(mul(f, c), mul(i, g));
        const nextH = mul(o, activation(norm(nextC, params.cellGamma, params.cellBeta)));
        return [nextH, [nextH, nextC]];
      };
    },
  });
}

/** Equation 4 of the paper, over the last axis. */
function layerNorm(v: Tensor, gamma: Tensor, beta: Tensor, epsilon: number): Tensor {
  const centered = sub(v, mean(v, { axes: -1, keepDims: true }));
  const variance = mean(square(centered), { axes: -1, keepDims: true });
  // One division per row: multiplying by the reciprocal is as accurate, and its derivative has no division.
  return add(mul(mul(centered, div(1, sqrt(add(variance, epsilon)))), gamma), beta);
}

function constant(size: number, value: number): HostTensor {
  return hostTensor(new Float32Array(size).fill(value), [size]);
}
