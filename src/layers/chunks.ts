/** What a stream refuses: layers and functions that compute a step from steps outside its chunk. */
import { symbol } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import { type Unstreamable, unstreamable } from "../transforms/streamed_steps.ts";
import { flattenTree, mapTree, printPath, printStructure, type Tree } from "../tree/tree.ts";
import { layerName } from "./define.ts";
import type { Layer } from "./layer.ts";

/** What has passed the check, by the layer as it was given: the specs of its parameters and of a chunk. */
const passed = new WeakMap<Layer, Set<string>>();

/**
 * Makes the check of a chunk's specs; it runs once for chunks that differ only in their number of steps, in all
 * streams through a layer.
 *
 * @param layer The layer as it was given.
 * @returns A function that throws a TypeError if chunks would give other results than the whole sequence.
 */
export function chunkChecks(
  layer: Layer,
  { stateful, params, isSequence }: {
    /** The layer with its state kept from call to call. */
    readonly stateful: Layer;
    readonly params: Tree<Tensor>;
    /** Which tensors of the input are sequences. */
    readonly isSequence: (index: number) => boolean;
  },
): (chunk: Tree<Spec>) => void {
  const checked = passed.get(layer) ?? new Set<string>();
  passed.set(layer, checked);
  return (chunk) => {
    const time = symbol("time");
    let index = 0;
    const open = mapTree(
      chunk,
      ({ shape, dtype }: Spec): Spec =>
        isSequence(index++) && shape.length > 1
          ? { shape: [shape[0], time, ...shape.slice(2)], dtype }
          : { shape, dtype },
    );
    const { leaves, structure } = flattenTree<Spec>([params, open]);
    const key = printStructure(structure) + leaves.map(printSpec).join();
    if (checked.has(key)) return;
    const fault = faultOf(stateful, params, chunk, open);
    if (fault !== undefined) throw new TypeError(`Cannot feed ${layerName(stateful)} in chunks: ${fault}`);
    checked.add(key);
  };
}

function faultOf(
  layer: Layer,
  params: Tree<Tensor>,
  chunk: Tree<Spec>,
  open: Tree<Spec>,
): string | undefined {
  const apply = (params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Tensor>) => {
    const applied = layer.apply({ params, state }, input, { training: false });
    return [applied.output, applied.state] as const;
  };
  const stateOf = (input: Tree<Spec>) => layer.initState(params, input);
  const given = (input: Tree<Spec>) => [params, stateOf(input), input as Tree<Tensor>] as const; // specs stand for tensors
  let found: Unstreamable | undefined;
  try {
    found = unstreamable(apply, given(open), symbol("time"));
  } catch (error) {
    outputSpecs(apply, ...given(chunk)); // an error that any sequence would cause is passed on unchanged
    const { message } = error as Error; // the library throws nothing else
    return `it takes sequences of this length alone, so a chunk is not a part of one (${message})`;
  }
  if (found === undefined) return undefined;
  const { operation, place, path } = found;
  const output = path.length === 0 ? "its output" : printPath(path, "output");
  if (operation === undefined) {
    return `${output} has time elsewhere than on its second axis` +
      `${place === undefined ? "" : ` (by ${place})`}, so chunks of it cannot be put together; ` +
      `use predict with whole sequences`;
  }
  const by = operation === "state" ? "the state of the call before" : operation;
  return `${output} at a step depends on other steps ` +
    `(by ${by}${place === undefined ? "" : ` in ${place}`}), as attention or a mean over time does; ` +
    `use predict with whole sequences`;
}
