/** Two recurrent layers over one sequence, one in each direction. */
import { isObject, wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { add, mul } from "../operations/elementwise.ts";
import { splitKey } from "../operations/random.ts";
import { concat } from "../operations/structure.ts";
import { isLeaf, type Tensor } from "../tensor/tensor.ts";
import { type Tree, zipTrees } from "../tree/tree.ts";
import {
  defineLayer,
  layerJson,
  layerName,
  layerOptionNames,
  type LayerOptions,
  trainedLeaves,
} from "./define.ts";
import { functionOption } from "../options/json.ts";
import { checkAsMade } from "../options/made.ts";
import type { Applied, ApplyContext, Layer, Variables } from "./layer.ts";
import type { Json } from "../options/json.ts";
import { sumOf } from "../options/weight_rules.ts";
import { constrained, weightPenalty } from "./penalties.ts";
import { isRecurrentLayer, type RecurrentLayer } from "./rnn.ts";
import { reversedSequence } from "./sequence.ts";

/** How the outputs of both directions are merged, for each tensor of them. */
export type Merge = (forward: Tensor, backward: Tensor) => Tensor;

/** A merge as {@linkcode bidirectional} accepts it; null for none. */
export type MergeMode = "concat" | "sum" | "mul" | "ave" | Merge | null;

/** The named merges. */
const merges: Readonly<Record<Exclude<MergeMode, Merge | null>, Merge>> = {
  concat: (forward, backward) => concat([forward, backward]),
  sum: (forward, backward) => add(forward, backward),
  mul: (forward, backward) => mul(forward, backward),
  ave: (forward, backward) => mul(add(forward, backward), 0.5),
};

/**
 * Options of {@linkcode bidirectional}.
 *
 * @typeParam Mode The type of `mergeMode`, which may say that it is null or that it is not.
 */
export interface BidirectionalOptions<Mode extends MergeMode = MergeMode> extends LayerOptions {
  /**
   * How the outputs are merged: `concat` (default) along the last axis, `sum`, `mul`, `ave`, a function of
   * both, or null: the output is `[forward, backward]`.
   */
  readonly mergeMode?: Mode;
  /** The layer for the other direction; default: a copy of `layer` that runs the other way. */
  readonly backwardLayer?: RecurrentLayer | null;
}

/** Both directions. */
interface Pair {
  readonly name: string;
  readonly forward: RecurrentLayer;
  readonly backward: RecurrentLayer;
  readonly merge: Merge | null;
}

/**
 * A recurrent layer together with one that runs the other way; the second sequence is flipped back, so that
 * both line up step by step, and the outputs are merged.
 *
 * Params and state are `{ forward, backward }`, one for each layer. With `returnState` the output is
 * `[output, [forwardState, backwardState]]`, and `context.initialState` is `[forwardState, backwardState]`.
 * Both directions begin anew in each sequence that `context.resets` separate, one with its first step, the
 * other with its last. As in Keras, masked steps output zeros when sequences are returned, whatever `zeroOutputForMask` is.
 *
 * @param layer A recurrent layer, such as `lstm(...)`; both directions use its flags.
 * @throws TypeError if the backward layer runs in the same direction, or differs in `returnSequences`,
 *   `returnState` or `stateful`; RangeError for an unknown merge mode or option, with the nearest known one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bidirectional, key, lstm, spec, zeros } from "@cellfold/cellfold";
 * const layer = bidirectional(lstm({ units: 4, returnSequences: true }), { mergeMode: "concat" });
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * const { output } = layer.apply({ params, state: { forward: [], backward: [] } }, zeros([2, 5, 3]), {
 *   training: false,
 * });
 * assertEquals(output.shape, [2, 5, 8]);
 * ```
 */
export function bidirectional<
  Output,
  State,
  ReturnState extends boolean,
  const Mode extends MergeMode = Exclude<MergeMode, null>,
>(
  layer: RecurrentLayer<Output, State, ReturnState>,
  options?: BidirectionalOptions<Mode>,
): Layer<
  ReturnState extends true ? readonly [
      output: Mode extends null ? readonly [Output, Output] : Output,
      states: readonly [State, State],
    ]
    : Mode extends null ? readonly [forward: Output, backward: Output]
    : Output
>;
export function bidirectional(layer: RecurrentLayer, options: BidirectionalOptions = {}): Layer {
  const type = "bidirectional";
  checkOptions(type, options, ["mergeMode", "backwardLayer", ...layerOptionNames]);
  const { mergeMode = "concat", backwardLayer } = options;
  const name = layerName({ type, name: options.name });
  checkRecurrent(name, "layer", layer);
  if (backwardLayer) checkRecurrent(name, "backwardLayer", backwardLayer);
  const given = backwardLayer ?? layer.withFlags({ goBackwards: !layer.flags.goBackwards });
  checkPair(name, layer, given);
  const forced = { zeroOutputForMask: layer.flags.returnSequences };
  const [forward, backward] = [layer.withFlags(forced), given.withFlags(forced)];
  const pair: Pair = { name, forward, backward, merge: resolveMerge(mergeMode) };
  return defineLayer({
    type,
    name: options.name,
    trainable: options.trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      layer: layerJson(layer),
      mergeMode: savedMerge(name, mergeMode),
      backwardLayer: backwardLayer ? layerJson(backwardLayer) : null,
    },
    layers: [forward, backward],
    named: (name) => bidirectional(layer, { ...options, name }),
    initParams: (key, input) => {
      const [forForward, forBackward] = splitKey(key, 2);
      return {
        forward: forward.initParams(forForward, input),
        backward: backward.initParams(forBackward, input),
      };
    },
    initState: (params, input) => {
      const both = partsOf(name, "params", params);
      return {
        forward: forward.initState(both.forward, input),
        backward: backward.initState(both.backward, input),
      };
    },
    apply: (variables, input, context) => apply(pair, variables, input, context),
    trainableLeaves: (params) => {
      const both = partsOf(name, "params", params);
      // In the order of the leaves: keys are sorted.
      return [...trainedLeaves(backward, both.backward), ...trainedLeaves(forward, both.forward)];
    },
    ...((forward.penalty ?? backward.penalty) && {
      penalty: (params) => {
        const both = partsOf(name, "params", params);
        return sumOf([weightPenalty(forward, both.forward), weightPenalty(backward, both.backward)]);
      },
    }),
    ...((forward.constrain ?? backward.constrain) && {
      constrain: (params) => {
        const both = partsOf(name, "params", params);
        return {
          forward: constrained(forward, both.forward),
          backward: constrained(backward, both.backward),
        };
      },
    }),
    masksInput: true, // the scan does
    takesResets: true, // both layers do
    withStateful: () => {
      throw new TypeError(
        `Cannot feed ${name} in chunks: its backward layer begins at the end of the sequence, which is not there yet`,
      );
    },
  });
}

function apply(
  { name, forward, backward, merge }: Pair,
  variables: Variables,
  input: Tree<Tensor>,
  { initialState, key, ...context }: ApplyContext,
): Applied {
  const params = partsOf(name, "params", variables.params);
  const state = partsOf(name, "state", variables.state);
  const initial = initialState === undefined ? [] : initialPair(name, initialState);
  const keys = key ? splitKey(key, 2) : [];
  const run = (layer: RecurrentLayer, direction: "forward" | "backward", index: number) =>
    layer.apply({ params: params[direction], state: state[direction] }, input, {
      ...context,
      key: keys[index],
      initialState: initial[index],
    });
  const there = run(forward, "forward", 0);
  const back = run(backward, "backward", 1);
  const { returnSequences, returnState } = forward.flags;
  const [ahead, aheadState] = outputAndState(there.output, returnState);
  const [behind, behindState] = outputAndState(back.output, returnState);
  const [mask, backMask] = [there.mask, back.mask].map((mask) => {
    const [first] = returnState && Array.isArray(mask) ? mask : [mask];
    return first as Tensor | undefined; // a recurrent layer has one mask
  });
  const aligned = returnSequences
    ? reversedSequence({ output: behind, mask: backMask }).output // its mask is that of the other direction
    : behind;
  const output: Tree<Tensor> = merge
    ? zipTrees(ahead, aligned, merge, { first: "the forward output", second: "the backward output" })
    : [ahead, aligned];
  const outputMask = mask && !merge ? [mask, mask] : mask;
  return {
    output: returnState ? [output, [aheadState, behindState]] : output,
    state: { forward: there.state, backward: back.state },
    mask: outputMask && returnState ? [outputMask, undefined] : outputMask,
    penalty: sumOf([there.penalty, back.penalty]),
  };
}

/** The output of a recurrent layer, and its state if it is returned. */
function outputAndState(output: Tree<Tensor>, returnState: boolean): readonly Tree<Tensor>[] {
  return returnState ? output as readonly Tree<Tensor>[] : [output, []]; // with returnState it is [output, state]
}

function partsOf(
  name: string,
  what: string,
  tree: Tree<Tensor>,
): Readonly<Record<"forward" | "backward", Tree<Tensor>>> {
  if (isObject(tree) && !isLeaf(tree) && "forward" in tree && "backward" in tree) {
    return tree as Readonly<Record<"forward" | "backward", Tree<Tensor>>>; // as just checked
  }
  throw new TypeError(`Cannot use ${name}: its ${what} must be { forward, backward }`);
}

function initialPair(name: string, initialState: Tree<Tensor>): readonly Tree<Tensor>[] {
  if (Array.isArray(initialState) && initialState.length === 2) return initialState;
  throw new TypeError(
    `Cannot use ${name} with this initial state: expected [forwardState, backwardState], ` +
      `each like the state of its layer`,
  );
}

function checkRecurrent(name: string, option: string, layer: Layer): void {
  if (isRecurrentLayer(layer)) return checkAsMade(layer);
  throw wrongKind(`make ${name}`, layer, option, "a recurrent layer such as lstm(...) or rnn(cell)");
}

function checkPair(name: string, forward: RecurrentLayer, backward: RecurrentLayer): void {
  if (forward.flags.goBackwards === backward.flags.goBackwards) {
    throw new TypeError(
      `Cannot make ${name}: both layers have goBackwards ${forward.flags.goBackwards}, expected one of each`,
    );
  }
  for (const flag of ["returnSequences", "returnState", "stateful"] as const) {
    if (forward.flags[flag] === backward.flags[flag]) continue;
    throw new TypeError(
      `Cannot make ${name}: ${flag} is ${forward.flags[flag]} for the layer and ${
        backward.flags[flag]
      } for ` +
        `backwardLayer, expected the same`,
    );
  }
}

function resolveMerge(mode: MergeMode): Merge | null {
  if (mode === null || typeof mode === "function") return mode;
  if (typeof mode !== "string" || !Object.hasOwn(merges, mode)) {
    throw unknownName("merge mode", mode, Object.keys(merges));
  }
  return merges[mode];
}

function savedMerge(name: string, mode: MergeMode): Json {
  return typeof mode === "function" ? functionOption(name, "mergeMode") : mode;
}
