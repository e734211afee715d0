/**
 * How the steps of sequences pass through a function: where the batch and time axes go, and which steps of
 * the result count. The function is traced and its Program analyzed equation by equation; only masks are
 * computed. The rule of each primitive is in step_rules.ts, which also decides what cannot be streamed.
 */
import { transpose } from "../operations/structure.ts";
import { traceFlat } from "../program/trace.ts";
import { sameShape } from "../tensor/dims.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Tree } from "../tree/tree.ts";
import { type Followed, isWhole, wholePlace } from "./sequence_axes.ts";
import { followProgram } from "./step_rules.ts";

/** A function of tensors. */
type TensorFunction = (...args: Tensor[]) => Tree<Tensor>;

/**
 * The masks of the results of `fn` for arguments with these masks.
 *
 * A mask, bool `[batch, time]` or with further axes, follows the leading axes of its argument: elementwise
 * operations keep it, and if several masks meet a step counts if it counts in all of them; reversing,
 * slicing, joining and transposing rearrange the mask like the data; a product has the mask of its left
 * operand's rows; if an axis is reduced by a sum or maximum, a remaining element counts if anything in it
 * counted. An output whose leading axes are no longer those of a mask has none.
 *
 * @param fn A pure function; it is traced.
 * @param args Tensors, or specs inside a trace.
 * @param masks One per argument; undefined if every step counts.
 * @returns A mask per leaf of the result of `fn`, in order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { reverse, tensor, toNested } from "@cellfold/cellfold";
 * import { outputMasks } from "./steps.ts";
 * const x = tensor([[[1], [2], [3]]]); // [batch, time, features]
 * const mask = tensor([[true, true, false]]);
 * const [reversed] = outputMasks((x) => reverse(x, 1), [x], [mask]);
 * assertEquals(reversed && toNested(reversed), [[0, 1, 1]]);
 * ```
 */
export function outputMasks(
  fn: TensorFunction,
  args: readonly Tensor[],
  masks: readonly (Tensor | undefined)[],
): (Tensor | undefined)[] {
  const given = args.map((arg, index): Followed | undefined => {
    const mask = masks[index];
    if (mask && !sameShape(mask.shape, arg.shape.slice(0, mask.shape.length))) return undefined;
    return followed(arg, mask);
  });
  const { states, outputs } = follow(fn, args, given);
  if (masks.every((mask) => mask === undefined)) return outputs.map(() => undefined);
  return outputs.map((spec, index) => {
    const state = states[index];
    if (!state?.mask) return undefined;
    const order = state.places.map((_, place) => place).sort((a, b) =>
      state.places[a].axis - state.places[b].axis
    );
    const leads = order.every((place, axis) =>
      state.places[place].axis === axis && isWhole(state.places[place])
    );
    const mask = leads ? transpose(state.mask, { permutation: order }) : undefined;
    return mask && sameShape(mask.shape, spec.shape.slice(0, mask.shape.length)) ? mask : undefined;
  });
}

/** A sequence as given: its leading axes are batch and time, and the further axes of its mask. */
function followed(arg: Spec, mask: Tensor | undefined): Followed | undefined {
  const axes = mask?.shape.length ?? 2;
  if (arg.shape.length < axes) return undefined;
  const places = Array.from({ length: axes }, (_, axis) => wholePlace(axis, axis, arg.shape[axis]));
  return { places, mask, mixedBy: undefined };
}

function follow(
  fn: TensorFunction,
  args: readonly Spec[],
  given: readonly (Followed | undefined)[],
): { states: readonly (Followed | undefined)[]; outputs: readonly Spec[] } {
  const { program } = traceFlat(args.map(specOf), (tensors) => ({
    outputs: flattenTree<Tensor>(fn(...tensors), "result").leaves,
    result: undefined,
  }));
  return { states: followProgram(program, given), outputs: program.outputs };
}
