/** The long short-term memory cell (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al., 2000). */
import { add, mul, type Operand } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { split, zeros } from "../operations/structure.ts";
import { checkCount } from "../options/checks.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { RecurrentCell } from "./cell.ts";
import {
  defineCell,
  drawDropouts,
  gatedCellOptionNames,
  type GatedCellOptions,
  lstmBias,
  resolveCellOptions,
} from "./define.ts";
import { matrices } from "./matrices.ts";

/** Options of {@linkcode lstmCell}. */
export interface LstmCellOptions extends GatedCellOptions {
  /** The size of the state and the output. */
  readonly units: number;
  /** Whether the bias of the forget gate begins at 1; default true. */
  readonly unitForgetBias?: boolean;
}

/** The names of `LstmCellOptions`. */
export const lstmCellOptionNames = ["units", "unitForgetBias", ...gatedCellOptionNames] as const;

interface Params {
  /** `[features, 4·units]`, gates i, f, c, o. */
  readonly kernel: Tensor;
  /** `[units, 4·units]`. */
  readonly recurrentKernel: Tensor;
  /** `[4·units]`. */
  readonly bias?: Tensor;
}

/**
 * The LSTM cell:
 *
 *     i = recurrentActivation(x·Wi + h·Ui + bi)
 *     f = recurrentActivation(x·Wf + h·Uf + bf)
 *     g = activation(x·Wc + h·Uc + bc)
 *     o = recurrentActivation(x·Wo + h·Uo + bo)
 *     c = f·c + i·g
 *     h = o·activation(c)
 *
 * The state is `[h, c]`, each `[batch, units]`; the output is `h`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstmCell, rnn, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(lstmCell({ units: 64 }));
 * const [bias, kernel] = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 28])));
 * assertEquals(bias.shape, [256]);
 * assertEquals(kernel.shape, [28, 256]);
 * ```
 */
export function lstmCell(options: LstmCellOptions): RecurrentCell {
  const type = "lstmCell";
  const resolved = resolveCellOptions(type, options, lstmCellOptionNames);
  const { units, unitForgetBias = true } = options;
  checkCount(type, "units", units);
  const { activation, recurrentActivation } = resolved;
  return defineCell<Params, readonly [h: Tensor, c: Tensor]>({
    type,
    options: { units, unitForgetBias, ...resolved.json },
    ...matrices(
      resolved,
      units,
      4 * units,
      (key) => lstmBias(resolved.biasInitializer, key, units, unitForgetBias),
    ),
    initState: ({ kernel }, input) => {
      const zero = zeros([input.shape[0], units], kernel.dtype);
      return [zero, zero];
    },
    build: ({ kernel, recurrentKernel, bias }, context) => {
      const { onInput, onState } = drawDropouts(type, resolved, context, [context.input.shape[0], units]);
      const b: Operand = bias ?? 0;
      return ([h, c], x) => {
        const z = add(add(matmul(onInput(x), kernel), b), matmul(onState(h), recurrentKernel));
        const [zi, zf, zc, zo] = split(z, 4);
        const i = recurrentActivation(zi);
        const f = recurrentActivation(zf);
        const g = activation(zc);
        const o = recurrentActivation(zo);
        const nextC = add(mul(f, c), mul(i, g));
        const nextH = mul(o, activation(nextC));
        return [nextH, [nextH, nextC]];
      };
    },
  });
}
