/**
 * Steps from arrays into arrays, for code that may not wait and should not allocate, such as a callback for
 * audio: the arrays are found in their trees by paths that were made beforehand, and checked.
 */
import { describeValue } from "../describe.ts";
import {
  allocateValues,
  type HostTensor,
  printSpec,
  type Spec,
  type Tensor,
  type Values,
} from "../tensor/tensor.ts";
import { flattenTree, mapTree, printPath, type Tree } from "../tree/tree.ts";
import type { Place, StepLoop } from "../transforms/loop.ts";
import type { Layer } from "./layer.ts";

/** StepArrays as a caller gives them: one, or a tree of them. */
export type StepArrays = Tree<Values>;

type Loop = StepLoop<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** A loop's step from arrays into arrays. */
export type ArrayStep = (input: StepArrays, output: StepArrays) => void;

/** An array that is expected at a place. */
interface Expected {
  readonly name: string;
  readonly path: Place["path"];
  readonly type: { readonly name: string; readonly prototype: Values };
  readonly size: number;
  readonly text: string;
}

/**
 * The step of a loop; undefined if its device cannot block.
 *
 * @param check Checks the values of an input, if the layer has limits for them.
 */
export function arrayStep(
  loop: Loop,
  check: ((inputs: readonly Values[]) => void) | undefined,
): ArrayStep | undefined {
  const { runInto } = loop;
  if (!runInto) return undefined;
  const from = loop.inputs.map((place) => expectedAt(place, "input"));
  const to = loop.outputs.map((place) => expectedAt(place, "output"));
  const inputs: Values[] = loop.inputs.map(({ spec }) => allocateValues(spec.dtype, 0));
  const outputs: Values[] = loop.outputs.map(({ spec }) => allocateValues(spec.dtype, 0));
  return (input, output) => {
    find(from, input, inputs);
    find(to, output, outputs);
    check?.(inputs);
    runInto(inputs, outputs);
  };
}

/** A tensor over one array after another. */
interface Holder extends Omit<HostTensor, "data"> {
  data: Values;
}

/**
 * What a layer checks of the values of a step, in tensors that are made once; undefined if it checks none.
 *
 * @param sequence Specs of the step as a sequence, whose sizes are known.
 */
export function valueCheck(
  layer: Layer,
  sequence: Tree<Spec>,
): ((inputs: readonly Values[]) => void) | undefined {
  if (!layer.checkInput) return undefined;
  const tree = mapTree(sequence, ({ shape, dtype }: Spec): Holder => ({
    kind: "host",
    shape: shape as readonly number[], // known
    dtype,
    data: allocateValues(dtype, 0),
  }));
  const { leaves } = flattenTree<Holder>(tree);
  return (inputs) => {
    for (let index = 0; index < inputs.length; index++) leaves[index].data = inputs[index];
    layer.checkInput?.(tree);
  };
}

function expectedAt({ path, spec }: Place, name: string): Expected {
  const sample = allocateValues(spec.dtype, 0);
  const size = spec.shape.reduce((size, dim) => size * dim, 1);
  return {
    name,
    path,
    type: sample.constructor as unknown as Expected["type"], // typed arrays have no common type
    size,
    text: `a ${sample.constructor.name} of ${size} for ${printSpec(spec)}`,
  };
}

function find(expected: readonly Expected[], tree: StepArrays, into: Values[]): void {
  for (let index = 0; index < expected.length; index++) {
    const { path, type, size } = expected[index];
    let at: unknown = tree;
    for (let depth = 0; depth < path.length; depth++) {
      at = (at as Readonly<Record<string | number, unknown>> | null | undefined)?.[path[depth]]; // looked at below
    }
    const array = at as Values | null | undefined;
    if (Object.getPrototypeOf(array ?? NOTHING) !== type.prototype || array?.length !== size) {
      throw refusal(expected[index], at);
    }
    into[index] = array;
  }
}

const NOTHING = {};

function refusal({ name, path, type, text }: Expected, found: unknown): Error {
  const isOtherSize = Object.getPrototypeOf(found ?? NOTHING) === type.prototype;
  const what = isOtherSize
    ? `an array of ${(found as Values).length}` // has the type
    : ArrayBuffer.isView(found)
    ? `a ${found.constructor.name}`
    : describeValue(found);
  const message = `Cannot step: ${
    printPath(path, name)
  } is ${what}, expected ${text}; make it once, for all steps`;
  return isOtherSize ? new RangeError(message) : new TypeError(message);
}
