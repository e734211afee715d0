/**
 * What becomes of the steps of sequences inside a function: where the axes of batch and time go, which steps of the
 * result count, and whether each step of the result depends on that step of the arguments alone. The function is
 * traced and its Program read equation by equation; nothing is computed but masks. Masks in graphs and the refusal of
 * what cannot be streamed both stand on this. The rule of each primitive is in step_rules.ts.
 */
import { transpose } from "../operations/structure.ts";
import { traceFlat } from "../program/trace.ts";
import { timeAxis } from "../program/types.ts";
import { type Dim, sameShape } from "../tensor/dims.ts";
import { type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Path, type Tree } from "../tree/tree.ts";
import { type Followed, followProgram, isWhole, placeOf, TIME, wholePlace } from "./step_rules.ts";

/** A function of tensors. */
type TensorFunction = (...args: Tensor[]) => Tree<Tensor>;

/**
 * The masks of what `fn` gives for arguments with these masks.
 *
 * A mask, bool `[batch, time]` or with further axes, goes where the leading axes of its argument go: elementwise
 * operations keep it, and where several meet a step counts if it counts in all of them; reversing, slicing, joining and
 * transposing rearrange the mask as they rearrange the data; a product has the mask of its left operand's rows; where
 * an axis is summed or maximized away, what is left counts if anything in it counted. An output whose leading axes are
 * no longer those of a mask has none.
 *
 * @param fn A pure function; it is traced.
 * @param args Tensors, or specs inside a trace.
 * @param masks One per argument; undefined where every step counts.
 * @returns A mask per leaf of what `fn` returns, in order.
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
    const mask = leads ? transpose(state.mask, order) : undefined;
    return mask && sameShape(mask.shape, spec.shape.slice(0, mask.shape.length)) ? mask : undefined;
  });
}

/** Why a function cannot be computed step by step. */
export interface MixedSteps {
  /** Where in what it returns. */
  readonly path: Path;
  /** The primitive by which a step comes to depend on other steps, on its number, or on how many steps there are. */
  readonly operation: string;
}

/**
 * Whether a function of sequences can be computed step by step: each step of each output (its axis 1) depends on that
 * step of the arguments alone.
 *
 * @param fn A pure function; it is traced.
 * @param args Specs of its arguments; sequences are those of which axis 1 is `time`.
 * @param time The open size of time.
 * @returns undefined where it can, else the first output that cannot and the operation that mixes steps.
 */
export function mixedSteps(fn: TensorFunction, args: readonly Spec[], time: Dim): MixedSteps | undefined {
  const given = args.map((arg): Followed | undefined => {
    const axis = timeAxis(arg.shape.length);
    return arg.shape[axis] === time ? followed(arg, undefined) : undefined;
  });
  const { states, paths } = follow(fn, args, given, time);
  for (const [index, state] of states.entries()) {
    if (state === undefined) continue;
    const place = placeOf(state, TIME);
    const operation = state.mixedBy ??
      (place && isWhole(place) && place.axis === 1 ? undefined : "transpose");
    if (operation !== undefined) return { path: paths[index], operation };
  }
  return undefined;
}

/** A sequence as it is given: its leading axes are batch and time, and those that its mask has beside. */
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
  time?: Dim,
): { states: readonly (Followed | undefined)[]; outputs: readonly Spec[]; paths: readonly Path[] } {
  const specs = args.map(specOf);
  const { program, result: paths } = traceFlat(specs, (tensors) => {
    const { leaves, paths } = flattenTree<Tensor>(fn(...tensors), "result");
    return { outputs: leaves, result: paths };
  });
  return { states: followProgram(program, given, time), outputs: program.outputs, paths };
}
