/** The gated recurrent unit (Cho et al., 2014), with the reset gate before or after the recurrent product. */
import { checkCount } from "../describe.ts";
import { add, mul, type Operand, sub } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { at, sliceAxis, split } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import type { Cell } from "../scan.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { RecurrentCell } from "./cell.ts";
import { type ClipOptions, limiter } from "./clip.ts";
import {
  defineCell,
  drawDropouts,
  type Dropouts,
  gatedCellOptionNames,
  type GatedCellOptions,
  resolveCellOptions,
  type ResolvedCellOptions,
} from "./define.ts";
import { matrices } from "./matrices.ts";

/** Options of {@linkcode gruCell}. */
export interface GruCellOptions extends GatedCellOptions, ClipOptions {
  /** The size of the state and the output. */
  readonly units: number;
  /**
   * Whether the reset gate acts after the recurrent product (arXiv 1406.1078v1, cuDNN) or before it; default
   * true.
   */
  readonly resetAfter?: boolean;
}

/** The names of `GruCellOptions`. */
export const gruCellOptionNames = ["units", "resetAfter", "clip", ...gatedCellOptionNames] as const;

interface Params {
  /** `[features, 3·units]`, gates z, r, h. */
  readonly kernel: Tensor;
  /** `[units, 3·units]`. */
  readonly recurrentKernel: Tensor;
  /** `[2, 3·units]` (of the input, of the state) with `resetAfter`, else `[3·units]`. */
  readonly bias?: Tensor;
}

/**
 * The GRU cell:
 *
 *     z = recurrentActivation(x·Wz + h·Uz + bz)
 *     r = recurrentActivation(x·Wr + h·Ur + br)
 *     g = activation(x·Wh + r·(h·Uh + ch) + bh)    with resetAfter
 *     g = activation(x·Wh + (r·h)·Uh + bh)         without
 *     h = z·h + (1 - z)·g
 *
 * With `resetAfter` the input and the recurrent products have a bias each, rows 0 and 1 of `bias`. With
 * `clip` the inputs of the activations are limited to `-clip…clip`. The state is the tensor `h`,
 * `[batch, units]`, which is also the output. Recurrent dropout applies to the `h` in the products, not to
 * the one that `z` mixes in.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gruCell, key, rnn, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(gruCell({ units: 8 }));
 * const [bias] = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 3])));
 * assertEquals(bias.shape, [2, 24]);
 * ```
 */
export function gruCell(
  options: GruCellOptions,
): RecurrentCell<Tree<Tensor>, Tensor, Tensor, Tensor> {
  const type = "gruCell";
  const resolved = resolveCellOptions(type, options, gruCellOptionNames);
  const { units, resetAfter = true, clip = null } = options;
  checkCount(`make ${type}`, units, "units");
  const limit = limiter(type, clip);
  const functions: Functions = {
    activation: (z) => resolved.activation(limit(z)),
    recurrentActivation: (z) => resolved.recurrentActivation(limit(z)),
  };
  const biasShape = resetAfter ? [2, 3 * units] : [3 * units];
  return defineCell<Params, Tensor>({
    type,
    options: { units, resetAfter, clip, ...resolved.json },
    ...matrices(resolved, units, 3 * units, (key) => resolved.biasInitializer(key, biasShape)),
    initState: ({ kernel }, input) => zeros([input.shape[0], units], { dtype: kernel.dtype }),
    build: (params, context) => {
      const dropouts = drawDropouts(type, resolved, context, [context.input.shape[0], units]);
      return (resetAfter ? resetAfterStep : resetBeforeStep)(params, units, functions, dropouts);
    },
  });
}

/** The activations of the candidate and the gates. */
type Functions = Pick<ResolvedCellOptions, "activation" | "recurrentActivation">;

function resetAfterStep(
  { kernel, recurrentKernel, bias }: Params,
  _units: number,
  { activation, recurrentActivation }: Functions,
  { onInput, onState }: Dropouts,
): Cell<Tensor, Tensor, Tensor> {
  const inputBias: Operand = bias ? at(bias, 0) : 0;
  const recurrentBias: Operand = bias ? at(bias, 1) : 0;
  return (h, x) => {
    const [xz, xr, xh] = split(add(matmul(onInput(x), kernel), inputBias), 3);
    const [hz, hr, hh] = split(add(matmul(onState(h), recurrentKernel), recurrentBias), 3);
    const z = recurrentActivation(add(xz, hz));
    const r = recurrentActivation(add(xr, hr));
    const g = activation(add(xh, mul(r, hh)));
    const next = add(mul(z, h), mul(sub(1, z), g));
    return [next, next];
  };
}

function resetBeforeStep(
  { kernel, recurrentKernel, bias }: Params,
  units: number,
  { activation, recurrentActivation }: Functions,
  { onInput, onState }: Dropouts,
): Cell<Tensor, Tensor, Tensor> {
  const b: Operand = bias ?? 0;
  const gateKernel = sliceAxis(recurrentKernel, 1, 0, 2 * units);
  const candidateKernel = sliceAxis(recurrentKernel, 1, 2 * units, units);
  return (h, x) => {
    const [xz, xr, xh] = split(add(matmul(onInput(x), kernel), b), 3);
    const dropped = onState(h);
    const [hz, hr] = split(matmul(dropped, gateKernel), 2);
    const z = recurrentActivation(add(xz, hz));
    const r = recurrentActivation(add(xr, hr));
    const g = activation(add(xh, matmul(mul(r, dropped), candidateKernel)));
    const next = add(mul(z, h), mul(sub(1, z), g));
    return [next, next];
  };
}
