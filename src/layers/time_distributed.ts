/** A layer applied to every step of a sequence separately. */
import { printShapes } from "../cells/define.ts";
import { checkOptions } from "../option_names.ts";
import { mul } from "../operations/elementwise.ts";
import { sizeAsTensor } from "../operations/reduction.ts";
import { broadcastTo, reshape } from "../operations/structure.ts";
import { type Dim, multiplyDims, sameShape } from "../tensor/dims.ts";
import { type HostTensor, isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, mapTree, type Tree } from "../tree/tree.ts";
import { checkLayer, hostReshape } from "./checks.ts";
import {
  applyLayer,
  defineLayer,
  layerJson,
  layerName,
  layerOptionNames,
  type LayerOptions,
  trainedLeaves,
} from "./define.ts";
import type { Layer, Mask } from "./layer.ts";
import { constrained, weightPenalty } from "./penalties.ts";
import { isRecurrentLayer } from "./rnn.ts";
import { maskOfTree, masksOfLeaves } from "./masks.ts";
import { commonMask, reducedMask } from "./sequence.ts";

/**
 * A layer that applies another to every step of `[batch, time, ...]` (or a tree of such): batch and time are
 * merged to `[batch·time, ...]`, the layer is applied once, and they are split again. Params and state are
 * the layer's.
 *
 * A mask `[batch, time, ...]` reaches the layer as `[batch·time, ...]`, and the mask that the layer passes on
 * or makes is split like its output. If the inner axes are gone, a step counts if anything in it counted:
 * from words in sentences, the sentences remain, even if the layer inside made the mask of the words.
 *
 * What the layer adds to the loss by its call is the sum over the steps: the penalty of all rows as one batch, times
 * the number of steps. That of its weights is added once.
 *
 * @throws TypeError for a layer that is stateful, or has a stateful one inside.
 * @returns A layer whose `apply` throws a TypeError for an input without a time axis and at least one more.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, key, spec, timeDistributed, zeros } from "@cellfold/cellfold";
 * const layer = timeDistributed(dense({ units: 4 }));
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * const { output } = layer.apply({ params, state: [] }, zeros([2, 5, 3]), { training: false });
 * assertEquals(output.shape, [2, 5, 4]);
 * ```
 */
export function timeDistributed<Output>(layer: Layer<Output>, options?: LayerOptions): Layer<Output>;
export function timeDistributed(layer: Layer, options: LayerOptions = {}): Layer {
  const type = "timeDistributed";
  checkOptions(type, options, layerOptionNames);
  const name = layerName({ type, name: options.name });
  checkLayer(`make ${name}`, layer);
  if (isStateful(layer)) {
    throw new TypeError(
      `Cannot make ${name} of ${
        layerName(layer)
      }, which is stateful: every step begins by itself, so there is no call ` +
        `before; leave stateful out`,
    );
  }
  return defineLayer({
    type,
    ...options,
    options: {
      get layer() {
        return layerJson(layer);
      },
    },
    layers: [layer],
    named: (name) => timeDistributed(layer, { ...options, name }),
    initParams: (key, input) => layer.initParams(key, mergedSpecs(name, input)),
    initState: (params, input) => layer.initState(params, mergedSpecs(name, input)),
    apply: (variables, input, { mask, initialState, ...context }) => {
      if (initialState !== undefined) {
        throw new TypeError(`Cannot use ${name} with an initial state: every step begins by itself`);
      }
      const [batch, time] = sequenceAxes(name, input);
      const rows = multiplyDims(batch, time);
      const inside = innerMask(name, mask, batch, time);
      const applied = applyLayer(layer, variables, merged(name, input), {
        ...context,
        mask: inside,
        rowsAreSteps: true,
      });
      const { output, state, mask: inner } = applied;
      // Of a batch of steps; of the sequences it is that of all their steps.
      const penalty = applied.penalty && mul(applied.penalty, sizeAsTensor(time, applied.penalty.dtype));
      const split = (y: Tensor) => {
        if (y.shape[0] === rows) return reshape(y, [batch, time, ...y.shape.slice(1)]);
        throw new TypeError(
          `Cannot use ${name}: ${layerName(layer)} gives ${
            printSpec(y)
          }, expected ${rows} rows, one for each step`,
        );
      };
      if (inner === inside) return { output: mapTree(output, split), state, mask, penalty };
      const given = commonMask(masksOfLeaves(input, mask).map((mask) => mask && reducedMask(mask, 2)));
      const masks = masksOfLeaves(output, inner).map((inner) => commonMask([given, inner && split(inner)]));
      return { output: mapTree(output, split), state, mask: maskOfTree(output, masks), penalty };
    },
    ...(layer.penalty && { penalty: (params) => weightPenalty(layer, params) }),
    ...(layer.constrain && { constrain: (params) => constrained(layer, params) }),
    trainableLeaves: (params) => trainedLeaves(layer, params),
    ...(layer.checkInput
      ? { checkInput: (input) => hostSteps(input, layer.checkInput?.(hostRows(name, input))) }
      : {}),
  });
}

function isStateful(layer: Layer): boolean {
  return isRecurrentLayer(layer) ? layer.flags.stateful : (layer.layers ?? []).some(isStateful);
}

/** The sizes of batch and time, which all tensors share. */
function sequenceAxes(name: string, input: Tree<Spec>): [Dim, Dim] {
  const { leaves } = flattenTree<Spec>(input, "input");
  const [batch, time] = leaves[0]?.shape ?? [];
  if (
    leaves.length === 0 ||
    leaves.some(({ shape }) => shape.length < 3 || !sameShape(shape.slice(0, 2), [batch, time]))
  ) {
    throw new TypeError(
      `Cannot use ${name} with an input of shape ${printShapes(input)}: expected [batch, time, ...], ` +
        `with an axis after time; a recurrent layer before it needs returnSequences: true`,
    );
  }
  return [batch, time];
}

function mergedSpecs(name: string, input: Tree<Spec>): Tree<Spec> {
  const [batch, time] = sequenceAxes(name, input);
  return mapTree(input, ({ shape, dtype }: Spec): Spec => ({
    shape: [multiplyDims(batch, time), ...shape.slice(2)],
    dtype,
  }));
}

function merged(name: string, input: Tree<Tensor>): Tree<Tensor> {
  const [batch, time] = sequenceAxes(name, input);
  return mapTree(input, (x: Tensor) => reshape(x, [multiplyDims(batch, time), ...x.shape.slice(2)]));
}

/** The same for values on the host, which are not copied. */
function hostRows(name: string, input: Tree<HostTensor>): Tree<HostTensor> {
  sequenceAxes(name, input);
  return mapTree(input, (x: HostTensor) => {
    const [batch, time, ...rest] = x.shape;
    return hostReshape(x, [batch * time, ...rest]);
  });
}

/** The mask that the layer inside passes on for its rows, as steps again. */
function hostSteps(input: Tree<HostTensor>, rows: Tree<HostTensor> | void): Tree<HostTensor> | void {
  if (rows === undefined) return;
  const [batch, time] = flattenTree<HostTensor>(input).leaves[0].shape;
  return mapTree(rows, (y: HostTensor) => hostReshape(y, [batch, time, ...y.shape.slice(1)]));
}

/** The mask for the layer inside, with batch and time merged: of the rows, or of their contents. */
function innerMask(name: string, mask: Mask, batch: Dim, time: Dim): Mask {
  if (mask === undefined) return undefined;
  if (!isTensor(mask)) {
    return Array.isArray(mask) ? mask.map((part) => innerMask(name, part, batch, time)) : Object.fromEntries(
      Object.entries(mask).map(([key, part]) => [key, innerMask(name, part, batch, time)]),
    );
  }
  // A mask of rows, as inside another timeDistributed, applies to all their steps.
  if (sameShape(mask.shape, [batch])) {
    return reshape(broadcastTo(reshape(mask, [batch, 1]), [batch, time]), [multiplyDims(batch, time)]);
  }
  if (!sameShape(mask.shape.slice(0, 2), [batch, time])) {
    throw new TypeError(
      `Cannot use ${name} with the mask ${printSpec(mask)}: expected bool[${batch}, ${time}]`,
    );
  }
  return reshape(mask, [multiplyDims(batch, time), ...mask.shape.slice(2)]);
}
