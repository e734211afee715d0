/** The fully connected recurrent cell (Elman, 1990). */
import { checkCount } from "../describe.ts";
import { add, type Operand } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { zeros } from "../operations/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { RecurrentCell } from "./cell.ts";
import { type ClipOptions, limiter } from "./clip.ts";
import { cellOptionNames, type CellOptions, defineCell, drawDropouts, resolveCellOptions } from "./define.ts";
import { matrices } from "./matrices.ts";

/** Options of {@linkcode simpleRnnCell}. */
export interface SimpleRnnCellOptions extends CellOptions, ClipOptions {
  /** The size of the state and the output. */
  readonly units: number;
}

/** The names of `SimpleRnnCellOptions`. */
export const simpleRnnCellOptionNames = ["units", "clip", ...cellOptionNames] as const;

interface Params {
  /** `[features, units]`. */
  readonly kernel: Tensor;
  /** `[units, units]`. */
  readonly recurrentKernel: Tensor;
  /** `[units]`. */
  readonly bias?: Tensor;
}

/**
 * Elman's cell:
 *
 *     h = activation(x·W + h·U + b)
 *
 * The state is the tensor `h`, `[batch, units]`, which is also the output. With `clip` the input of the
 * activation is limited to `-clip…clip`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, rnn, simpleRnnCell, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(simpleRnnCell({ units: 4 }));
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * assertEquals(treeLeaves(params).length, 3); // bias, kernel, recurrentKernel
 * ```
 */
export function simpleRnnCell(
  options: SimpleRnnCellOptions,
): RecurrentCell<Tree<Tensor>, Tensor, Tensor, Tensor> {
  const type = "simpleRnnCell";
  const resolved = resolveCellOptions(type, options, simpleRnnCellOptionNames);
  const { units, clip = null } = options;
  checkCount(`make ${type}`, units, "units");
  const limit = limiter(type, clip);
  const { activation } = resolved;
  return defineCell<Params, Tensor>({
    type,
    options: { units, clip, ...resolved.json },
    ...matrices(resolved, units, units, (key) => resolved.biasInitializer(key, [units])),
    initState: ({ kernel }, input) => zeros([input.shape[0], units], { dtype: kernel.dtype }),
    build: ({ kernel, recurrentKernel, bias }, context) => {
      const { onInput, onState } = drawDropouts(type, resolved, context, [context.input.shape[0], units]);
      const b: Operand = bias ?? 0;
      return (h, x) => {
        const next = activation(
          limit(add(add(matmul(onInput(x), kernel), b), matmul(onState(h), recurrentKernel))),
        );
        return [next, next];
      };
    },
  });
}
