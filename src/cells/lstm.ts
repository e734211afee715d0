/**
 * The long short-term memory cell (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al.,
 * 2000), and its variants: peepholes, a projected output, coupled gates and clipped gates.
 */
import { checkCount } from "../describe.ts";
import { add, mul, type Operand, sub } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { foldIn } from "../operations/random.ts";
import { split } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import { hostTensor, type Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { LstmState, RecurrentCell } from "./cell.ts";
import { type ClipOptions, limiter } from "./clip.ts";
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
export interface LstmCellOptions extends GatedCellOptions, ClipOptions {
  /** The size of the cell state, and of the output if there is no projection. */
  readonly units: number;
  /**
   * Whether the bias of the forget gate starts at 1; default true, unless `inputForget` removes that gate.
   */
  readonly unitForgetBias?: boolean;
  /** Whether the gates see the cell state (Gers and Schmidhuber, 2000); default false. */
  readonly peepholes?: boolean;
  /**
   * The size of a projected output (Sak et al., 2014; PyTorch's `proj_size`); default null: no projection.
   */
  readonly projection?: number | null;
  /**
   * Whether the forget gate is 1 - i, what the input gate leaves (Greff et al., 2015; as in ONNX); default
   * false.
   */
  readonly inputForget?: boolean;
}

/** The names of `LstmCellOptions`. */
export const lstmCellOptionNames = [
  "units",
  "unitForgetBias",
  "peepholes",
  "projection",
  "inputForget",
  "clip",
  ...gatedCellOptionNames,
] as const;

interface Params {
  /** `[features, 4·units]`, gates i, f, c, o; `[features, 3·units]`, gates i, c, o, with `inputForget`. */
  readonly kernel: Tensor;
  /** `[units, 4·units]`; with a projection and `inputForget`, `[projection, 3·units]`. */
  readonly recurrentKernel: Tensor;
  /** `[4·units]`; `[3·units]` with `inputForget`. */
  readonly bias?: Tensor;
  /** `[3·units]`, gates i, o, f as in ONNX; `[2·units]`, gates i, o, with `inputForget`. */
  readonly peepholes?: Tensor;
  /** `[units, projection]`. */
  readonly projectionKernel?: Tensor;
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
 * The state is `[h, c]`, each `[batch, units]`; the output is `h`. Each option changes one line:
 *
 * - `peepholes`: `pi·c`, `pf·c` and `po·c` are added before the activations of i, f and o. The first two use
 *   the previous step's `c`, o uses the new one. They start at 0.
 * - `projection`: `h = (o·activation(c))·P`, so that the output and the state `h` are `[batch, projection]`.
 * - `inputForget`: `f = 1 - i`; there are no weights for f.
 * - `clip`: the inputs of the activations of i, f, g and o are limited to `-clip…clip`; the `c` of the last
 *   line is not.
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
export function lstmCell(
  options: LstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  const type = "lstmCell";
  const resolved = resolveCellOptions(type, options, lstmCellOptionNames);
  const { units, peepholes = false, projection = null, inputForget = false, clip = null } = options;
  const { unitForgetBias = !inputForget } = options;
  checkCount(`make ${type}`, units, "units");
  if (projection !== null) checkCount(`make ${type}`, projection, "projection");
  if (inputForget && unitForgetBias) {
    throw new RangeError(
      `Cannot make ${type}: unitForgetBias is true, but with inputForget there is no forget gate to have a bias`,
    );
  }
  const limit = limiter(type, clip);
  const { activation, recurrentActivation } = resolved;
  const gates = inputForget ? 3 : 4;
  const outputs = projection ?? units;
  const products = matrices(
    resolved,
    outputs,
    gates * units,
    (key) =>
      unitForgetBias
        ? lstmBias(resolved.biasInitializer, key, units, true)
        : resolved.biasInitializer(key, [gates * units]),
  );
  return defineCell<Params, LstmState>({
    type,
    options: { units, unitForgetBias, peepholes, projection, inputForget, clip, ...resolved.json },
    ...products,
    params: [
      ...products.params,
      ...(peepholes ? ["peepholes"] as const : []),
      ...(projection === null ? [] : ["projectionKernel"] as const),
    ],
    initParams: (key, input) => ({
      ...products.initParams(key, input),
      ...(peepholes
        ? { peepholes: hostTensor(new Float32Array((gates - 1) * units), [(gates - 1) * units]) }
        : {}),
      // The first three keys belong to the products.
      ...(projection === null
        ? {}
        : { projectionKernel: resolved.kernelInitializer(foldIn(key, 3), [units, projection]) }),
    }),
    initState: ({ kernel }, input) => {
      const c = zeros([input.shape[0], units], { dtype: kernel.dtype });
      return [projection === null ? c : zeros([input.shape[0], projection], { dtype: kernel.dtype }), c];
    },
    build: ({ kernel, recurrentKernel, bias, peepholes, projectionKernel }, context) => {
      const { onInput, onState } = drawDropouts(type, resolved, context, [context.input.shape[0], outputs]);
      const b: Operand = bias ?? 0;
      const [pi, po, pf] = peepholes ? split(peepholes, gates - 1) : [];
      const gate = (z: Tensor, p: Tensor | undefined, c: Tensor) =>
        recurrentActivation(limit(p ? add(z, mul(p, c)) : z));
      return ([h, c], x) => {
        const z = add(add(matmul(onInput(x), kernel), b), matmul(onState(h), recurrentKernel));
        const parts = split(z, gates);
        const [zi, zc, zo] = inputForget ? parts : [parts[0], parts[2], parts[3]];
        const i = gate(zi, pi, c);
        const f = inputForget ? sub(1, i) : gate(parts[1], pf, c);
        const g = activation(limit(zc));
        // Only a peephole makes o wait for the new c.
        const early = po ? undefined : gate(zo, undefined, c);
        const nextC = add(mul(f, c), mul(i, g));
        const o = early ?? gate(zo, po, nextC);
        const cellOutput = mul(o, activation(nextC));
        const nextH = projectionKernel ? matmul(cellOutput, projectionKernel) : cellOutput;
        return [nextH, [nextH, nextC]];
      };
    },
  });
}
