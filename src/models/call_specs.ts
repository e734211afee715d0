/** What a layer would return, found by tracing: nothing is computed and no weight is drawn. */
import { shapesOnly } from "../options/initializers.ts";
import type { ApplyContext, Layer, Mask } from "../layers/layer.ts";
import { key as seedKey } from "../operations/random.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import { mapLike, type Tree } from "../tree/tree.ts";
import { maskOfTree, masksOfLeaves } from "../layers/masks.ts";

/** The arguments of a layer call besides its input. Specs may stand for tensors. */
export interface CallExtras {
  readonly mask?: Mask;
  readonly initialState?: Tree<Tensor>;
  readonly resets?: Tensor;
}

/** The output of a layer; specs if it was only traced. */
export interface CallResult<Output = Tree<Tensor>> {
  readonly output: Output;
  readonly mask: Mask;
}

/** A function of tensors, each with its mask. */
export interface MaskedFunction<Output = Tree<Tensor>> {
  /** The function, which knows no masks. */
  readonly fn: (...args: Tensor[]) => Output;
  /** Its result for arguments with these masks. */
  readonly call: (
    args: readonly Tensor[],
    masks: readonly (Tensor | undefined)[],
    context: Pick<ApplyContext, "rowsAreSteps">,
  ) => CallResult<Output>;
}

/** A list with holes as an object: an absent key is not part of a tree. */
function packed(masks: readonly (Tensor | undefined)[]): { readonly [index: string]: Tensor | undefined } {
  return Object.fromEntries(masks.map((mask, index) => [index, mask]));
}

/**
 * The specs of the output of `layer`.
 *
 * @param params Its params, or specs of them.
 * @param input Specs, as is all in `extras`.
 */
export function callSpecs<Output>(
  layer: Layer<Output>,
  params: Tree<Tensor>,
  input: Tree<Tensor>,
  extras: CallExtras = {},
): CallResult<Output> {
  const { mask, initialState, resets } = extras;
  const given = { masks: packed(masksOfLeaves(input, mask)), initialState, resets };
  const result = outputSpecs(
    (params: Tree<Tensor>, x: Tree<Tensor>, { masks, initialState, resets }: typeof given) => {
      const mask = maskOfTree(x, Array.from(masksOfLeaves(x, undefined), (_, index) => masks[index]));
      const state = layer.initState(params, x);
      const applied = layer.apply({ params, state }, x, { training: false, mask, initialState, resets });
      return { output: applied.output, masks: packed(masksOfLeaves(applied.output, applied.mask)) };
    },
    params,
    input,
    given,
  );
  const count = masksOfLeaves(result.output, undefined).length;
  const masks = Array.from({ length: count }, (_, index) => result.masks[index]);
  return { output: result.output, mask: maskOfTree(result.output, masks) };
}

/** The specs of a function's result for arguments and masks of these specs. */
export function functionSpecs<Output extends Tree<Tensor>>(
  { call }: MaskedFunction<Output>,
  args: readonly Tensor[],
  masks: readonly (Tensor | undefined)[],
): CallResult<Output> {
  const { output, masks: kept } = outputSpecs(
    (args: readonly Tensor[], masks: { readonly [index: string]: Tensor | undefined }) => {
      const { output, mask } = call(args, args.map((_, index) => masks[index]), {});
      return { output, masks: packed(masksOfLeaves(output, mask)) };
    },
    args,
    packed(masks),
  );
  const count = masksOfLeaves(output, undefined).length;
  return { output, mask: maskOfTree(output, Array.from({ length: count }, (_, index) => kept[index])) };
}

/** Specs of the params of `layer` for inputs of these specs; no weight is drawn. */
export function paramSpecs(layer: Layer, input: Tree<Spec>): Tree<Tensor> {
  const params = shapesOnly(() => layer.initParams(seedKey(0), input));
  return mapLike(params, (leaf: Spec) => specOf(leaf));
}

/** Specs of the state of `layer` for params and inputs of these specs. */
export function stateSpecs(layer: Layer, params: Tree<Tensor>, input: Tree<Spec>): Tree<Tensor> {
  return outputSpecs((params: Tree<Tensor>, x: Tree<Spec>) => layer.initState(params, x), params, input);
}
