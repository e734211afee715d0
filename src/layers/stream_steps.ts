/** What streams run: a layer's chunks and single steps as functions, and their inputs in the layer's dtypes. */
import { expandDims, squeeze } from "../operations/structure.ts";
import { outputSpecs } from "../program/functions.ts";
import { stackedSpec } from "../program/types.ts";
import { type Dim, symbol } from "../tensor/dims.ts";
import {
  type DType,
  type HostTensor,
  isTensor,
  printSpec,
  type Spec,
  type Tensor,
} from "../tensor/tensor.ts";
import { flattenTree, mapTree, printPath, printStructure, type Tree, zipTrees } from "../tree/tree.ts";
import { convertTree, floatDType, inputDTypes, isPlainInput } from "./boundary.ts";
import type { Layer, Variables } from "./layer.ts";

/** How a call runs through the layer. */
export type StepFunction = (
  layer: Layer,
  variables: Variables,
  input: Tree<Tensor>,
) => readonly [Tree<Tensor>, Tree<Tensor>];

/** One step of an input as a sequence of it. */
export type AsSequence = (step: Tree<Spec>, time: Dim) => Tree<Spec>;

/** Which tensors of a layer's input are sequences, and how one step of them is made a sequence. */
export function sequencesOf({ sequenceInputs }: Layer) {
  const isSequence = (index: number): boolean => sequenceInputs?.[index] ?? true;
  const asSequence: AsSequence = (step, time) => {
    let index = 0;
    return mapTree(step, (x: Spec) => isSequence(index++) ? stackedSpec(x, time) : x);
  };
  /** The specs of a step, given those of a sequence. */
  const asStep = (sequence: Tree<Spec>): Tree<Spec> => {
    let index = 0;
    return mapTree(
      sequence,
      ({ shape, dtype }: Spec): Spec =>
        isSequence(index++) ? { shape: shape.toSpliced(1, 1), dtype } : { shape, dtype },
    );
  };
  return { isSequence, asSequence, asStep };
}

/** One step as a sequence, as tensors; one on the host shares its values. */
export function expanded(asSequence: AsSequence, step: Tree<Tensor>): Tree<Tensor> {
  return zipTrees(
    step,
    asSequence(step, 1),
    (x: Tensor, { shape }: Spec) => {
      if (shape.length === x.shape.length) return x;
      if (x.kind !== "host") return expandDims(x, 1);
      return { kind: "host", shape: x.shape.toSpliced(1, 0, 1), dtype: x.dtype, data: x.data };
    },
  );
}

/** A chunk of any length. */
export function applySteps(
  layer: Layer,
  variables: Variables,
  input: Tree<Tensor>,
): ReturnType<StepFunction> {
  const { output, state } = layer.apply(variables, input, { training: false });
  return [output, state];
}

/** One step: the layer gets a sequence of length 1, and its sequence outputs lose their time axis. */
export function stepOf(asSequence: AsSequence): StepFunction {
  return (layer, variables, input) => {
    const { output, state } = layer.apply(variables, expanded(asSequence, input), { training: false });
    const time = symbol("time");
    const specs = outputSpecs<Tree<Spec>>(
      (variables: Variables, sequence: Tree<Tensor>) =>
        layer.apply(variables, sequence, { training: false }).output,
      variables,
      asSequence(input, time),
    );
    return [
      zipTrees(
        output,
        specs,
        (y: Tensor, { shape }: Spec) => shape[1] === time ? squeeze(y, { axes: 1 }) : y,
      ),
      state,
    ];
  };
}

/** Specs with another batch. */
export function withBatch(input: Tree<Spec>, batch: Dim): Tree<Spec> {
  return mapTree(input, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
}

/**
 * The batch that is given, by itself or by the specs of an input; undefined if it is not.
 *
 * @param what What cannot be done in errors, such as `stream`.
 * @throws RangeError if two of them differ.
 */
export function batchFor(
  what: string,
  batch: number | undefined,
  input: Tree<Spec> | undefined,
): number | undefined {
  if (input === undefined) return batch;
  const { leaves, paths } = flattenTree<Spec>(input, "input");
  let [found, where] = [batch, "batch"];
  leaves.forEach((leaf, index) => {
    const [first] = leaf.shape;
    if (typeof first !== "number" || first === found) return;
    const path = printPath(paths[index], "input");
    if (found === undefined) [found, where] = [first, `the first size of ${path}`];
    else {
      throw new RangeError(
        `Cannot ${what}: ${where} is ${found}, but ${path} is ${
          printSpec(leaf)
        }; give the same in both, or ` +
          "null as the first size in the specs of the input",
      );
    }
  });
  return found;
}

/** Whether all of an input is on the host. */
export function isOnHost(input: Tree<Tensor>): boolean {
  return isTensor(input)
    ? input.kind === "host"
    : flattenTree<Tensor>(input).leaves.every(({ kind }) => kind === "host");
}

/**
 * Checks values that no trace can see, such as tokens within the vocabulary; data on a device is not checked.
 */
export function checkValues(layer: Layer, input: Tree<Tensor>): void {
  if (!layer.checkInput) return;
  const { leaves } = flattenTree<Tensor>(input, "input");
  if (leaves.every(({ kind }) => kind === "host")) layer.checkInput(input as Tree<HostTensor>); // all on the host
}

/**
 * Makes what gives an input the dtypes that the layer accepts.
 *
 * @returns A function of the input, and of specs of the sequence that it represents.
 */
export function conversion(
  layer: Layer,
  variables: Variables,
  batch: number,
): (input: Tree<Tensor>, sequence: (input: Tree<Spec>) => Tree<Spec>) => Tree<Tensor> {
  const dtypes = new Map<string, readonly DType[]>();
  const float = floatDType(variables);
  return (input, sequence) => {
    if (isPlainInput(float, input)) return input;
    const specs = withBatch(sequence(input), batch);
    const { leaves, structure } = flattenTree<Spec>(specs);
    const key = printStructure(structure) + leaves.map(printSpec).join();
    let taken = dtypes.get(key);
    if (!taken) dtypes.set(key, taken = inputDTypes(layer, variables, specs, "input"));
    return convertTree("input", input, taken);
  };
}
