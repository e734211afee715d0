/**
 * The convolutional LSTM cell (Shi et al., "Convolutional LSTM Network", 2015), over one to three spatial
 * axes.
 */
import { checkCount } from "../describe.ts";
import { add, mul, type Operand } from "../operations/elementwise.ts";
import { convolve, convolvedSizes } from "../operations/convolution.ts";
import { splitKey } from "../operations/random.ts";
import { split } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import { unknownName } from "../known_names.ts";
import { perAxis } from "../options/per_axis.ts";
import type { Shape } from "../tensor/dims.ts";
import { fixedSize, type Spec, type Tensor } from "../tensor/tensor.ts";
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

/**
 * Options of the cells {@linkcode convLstm1dCell}, {@linkcode convLstm2dCell} and {@linkcode convLstm3dCell}.
 */
export interface ConvLstmCellOptions extends GatedCellOptions {
  /** The number of channels of the state and the output. */
  readonly filters: number;
  /** The window, one size for all spatial axes or one for each. */
  readonly kernelSize: number | readonly number[];
  /** How far the window moves over the input; default 1. */
  readonly strides?: number | readonly number[];
  /** Zero padding: none (`valid`, default) or as much as keeps the size of the input (`same`). */
  readonly padding?: "valid" | "same";
  /** The spacing of the window's positions on the input; default 1. */
  readonly dilationRate?: number | readonly number[];
  /** Whether the bias of the forget gate starts at 1; default true. */
  readonly unitForgetBias?: boolean;
}

/** The names of `ConvLstmCellOptions`. */
export const convLstmCellOptionNames = [
  "filters",
  "kernelSize",
  "strides",
  "padding",
  "dilationRate",
  "unitForgetBias",
  ...gatedCellOptionNames,
] as const;

interface Params {
  /** `[...kernelSize, in, 4·filters]`, gates i, f, c, o. */
  readonly kernel: Tensor;
  /** `[...kernelSize, filters, 4·filters]`. */
  readonly recurrentKernel: Tensor;
  /** `[4·filters]`. */
  readonly bias?: Tensor;
}

/**
 * The ConvLSTM cell over sequences of `[batch, space, channels]`:
 *
 *     i = recurrentActivation(x∗Wi + h∗Ui + bi)
 *     f = recurrentActivation(x∗Wf + h∗Uf + bf)
 *     g = activation(x∗Wc + h∗Uc + bc)
 *     o = recurrentActivation(x∗Wo + h∗Uo + bo)
 *     c = f·c + i·g
 *     h = o·activation(c)
 *
 * where `x∗W` is a convolution with the strides, padding and dilation of the options and `h∗U` is one that
 * keeps the size (`same`, stride 1). The state is `[h, c]`, each `[batch, ...space, filters]`; the output is
 * `h`. As in Keras, without the peephole terms of the paper.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { convLstm1dCell, key, rnn, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = rnn(convLstm1dCell({ filters: 2, kernelSize: 3 }));
 * const [, kernel] = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 8, 5])));
 * assertEquals(kernel.shape, [3, 5, 8]);
 * ```
 */
export function convLstm1dCell(
  options: ConvLstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  return convLstmCell("convLstm1dCell", 1, options);
}

/** The ConvLSTM cell over sequences of `[batch, height, width, channels]`; see {@linkcode convLstm1dCell}. */
export function convLstm2dCell(
  options: ConvLstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  return convLstmCell("convLstm2dCell", 2, options);
}

/**
 * The ConvLSTM cell over sequences of `[batch, depth, height, width, channels]`; see
 * {@linkcode convLstm1dCell}.
 */
export function convLstm3dCell(
  options: ConvLstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  return convLstmCell("convLstm3dCell", 3, options);
}

function convLstmCell(
  type: string,
  axes: number,
  options: ConvLstmCellOptions,
): RecurrentCell<Tree<Tensor>, LstmState, Tensor, Tensor> {
  const resolved = resolveCellOptions(type, options, convLstmCellOptionNames);
  const { filters, padding = "valid", unitForgetBias = true } = options;
  checkCount(`make ${type}`, filters, "filters");
  if (padding !== "valid" && padding !== "same") throw unknownName("padding", padding, ["valid", "same"]);
  const kernelSize = perAxis(type, "kernelSize", options.kernelSize, axes);
  const strides = perAxis(type, "strides", options.strides ?? 1, axes);
  const dilation = perAxis(type, "dilationRate", options.dilationRate ?? 1, axes);
  const { activation, recurrentActivation, useBias } = resolved;
  const window = { strides, padding, dilation };
  const sizes = (input: Spec) => convolvedSizes(input.shape.slice(1, -1), kernelSize, window);
  const stateShape = (input: Spec): Shape => [input.shape[0], ...sizes(input), filters];
  return defineCell<Params, LstmState>({
    type,
    options: {
      filters,
      kernelSize,
      strides,
      padding,
      dilationRate: dilation,
      unitForgetBias,
      ...resolved.json,
    },
    ...resolved.rules,
    params: useBias ? ["kernel", "recurrentKernel", "bias"] : ["kernel", "recurrentKernel"],
    step: {
      text: `[batch, ${["depth", "height", "width"].slice(3 - axes).join(", ")}, channels]`,
      rank: axes + 2,
    },
    features: ({ kernel }) => fixedSize(kernel, axes),
    refuses: (input) => {
      try {
        sizes(input);
      } catch (error) {
        if (error instanceof RangeError) return error.message;
        throw error;
      }
    },
    initParams: (key, input) => {
      const [forKernel, forRecurrent, forBias] = splitKey(key, 3);
      const channels = fixedSize(input, axes + 1);
      return {
        kernel: resolved.kernelInitializer(forKernel, [...kernelSize, channels, 4 * filters]),
        recurrentKernel: resolved.recurrentInitializer(forRecurrent, [...kernelSize, filters, 4 * filters]),
        ...(useBias ? { bias: lstmBias(resolved.biasInitializer, forBias, filters, unitForgetBias) } : {}),
      };
    },
    initState: ({ kernel }, input) => {
      const zero = zeros(stateShape(input), { dtype: kernel.dtype });
      return [zero, zero];
    },
    build: ({ kernel, recurrentKernel, bias }, context) => {
      const { onInput, onState } = drawDropouts(type, resolved, context, stateShape(context.input));
      const b: Operand = bias ?? 0;
      return ([h, c], x) => {
        const z = add(
          add(convolve(onInput(x), kernel, window), b),
          convolve(onState(h), recurrentKernel, { padding: "same" }),
        );
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
