/** The Program of a model in a file of its own: a prediction of whole sequences, or one step of a stream. */
import type { InputRole, StandaloneProgram } from "../../kernels/standalone/roles.ts";
import { chunkChecks } from "../../src/layers/chunks.ts";
import { layerName } from "../../src/layers/define.ts";
import type { Layer, Mask, Variables } from "../../src/layers/layer.ts";
import { resetStates, statefulLayer } from "../../src/layers/stateful.ts";
import { sequencesOf, stepOf, withBatch } from "../../src/layers/stream_steps.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { trace } from "../../src/program/functions.ts";
import type { Value } from "../../src/program/types.ts";
import { type Dim, evaluateDim, positiveSymbol, sizeOfShape, symbol } from "../../src/tensor/dims.ts";
import { type HostTensor, printSpec, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { predictStep } from "../../src/training/step.ts";
import { flattenTree, mapTree, type Path, printPath, type Tree, unflattenTree } from "../../src/tree/tree.ts";
import { checkMasksAreRead } from "./masks.ts";
import type { CheckedOptions } from "./options.ts";

/** A tensor that a call takes or gives. */
export interface Port {
  /** Where it is in the tree. */
  readonly path: Path;
  /** Sizes are numbers and symbols of the Program. */
  readonly spec: Spec;
}

/** A model as a Program that needs nothing but its inputs. */
export interface ModelProgram extends StandaloneProgram {
  /** What a call takes, in order: the tensors of `input`, with which their paths begin, and those of `mask`. */
  readonly inputs: readonly Port[];
  /** What it gives, in order. */
  readonly outputs: readonly Port[];
  /** The user's names of the open sizes, in the order of `sizes`. */
  readonly names: readonly string[];
}

/** The Program of a model. */
export function modelProgram(model: Layer, variables: Variables, options: CheckedOptions): ModelProgram {
  return options.stream ? stepProgram(model, variables, options) : predictProgram(model, variables, options);
}

/** Whole sequences at once, as by `predict`. */
function predictProgram(
  model: Layer,
  variables: Variables,
  { input, mask, batch }: CheckedOptions,
): ModelProgram {
  const whole: Given = mask === undefined ? { input } : { input, mask };
  const { given, ...sizes } = openSizes(batch === undefined ? whole : withBatch(whole, batch) as Given); // of its form
  const predict = predictStep(model);
  return programOf(
    (params, state, { input, mask }) => predict(params, state, input, mask as Mask), // a tree of masks
    variables,
    given,
    { ...sizes, isStep: false },
  );
}

/** One step, as by `streaming`, with its first state. */
function stepProgram(model: Layer, variables: Variables, { input, batch }: CheckedOptions): ModelProgram {
  const stateful = statefulLayer(model); // throws for what reads backwards
  const { isSequence, asSequence, asStep } = sequencesOf(stateful);
  const given = flattenTree<Spec>(input).leaves[0].shape[0];
  const sequence = withBatch(input, batch ?? (typeof given === "number" ? given : 1));
  // Before anything is made of this batch, such as its first state.
  flattenTree<Spec>(sequence).leaves.forEach(({ dtype, shape }) =>
    checkFits({ dtype, shape: shape.map((dim) => typeof dim === "number" ? dim : 1) }, [])
  );
  const { params } = variables;
  chunkChecks(model, { stateful, params, isSequence })(sequence);
  const step = asStep(sequence);
  const { leaves, paths } = flattenTree<Spec>(step, "input");
  leaves.forEach((leaf, index) => {
    const axis = leaf.shape.findIndex((dim) => typeof dim !== "number");
    if (axis < 0) return;
    throw new RangeError(
      `Cannot export ${layerName(model)} as a stream: a step of ${printPath(paths[index], "input")} is ${
        printSpec(leaf)
      }, expected sizes that are known; only batch and time may be open in its spec`,
    );
  });
  const state = resetStates(stateful, variables, sequence);
  const apply = stepOf(asSequence);
  return programOf(
    (params, state, { input }) => apply(stateful, { params, state }, input),
    { params, state },
    { input: step },
    { sizes: [], names: [], isStep: true },
  );
}

/** What a call is given: a tree of two. */
type Given<Leaf = Spec> = { readonly input: Tree<Leaf>; readonly mask?: Tree<Leaf> };

/** What a call computes. */
type Step = (params: Tree<Tensor>, state: Tree<Tensor>, given: Given<Tensor>) => readonly [
  Tree<Tensor>,
  Tree<Tensor>,
];

/** Traces a call with the variables as weights, and the state carried if it is a step. */
function programOf(
  call: Step,
  { params, state }: Variables,
  given: Given,
  { sizes, names, isStep }: Pick<ModelProgram, "sizes" | "names" | "isStep">,
): ModelProgram {
  const { program: traced, structure } = trace(call, params, state, given as Given<Tensor>); // specs stand for tensors
  const [outputTree, stateTree] = unflattenTree<readonly [Tree<Value>, Tree<Value>]>(
    structure,
    traced.outputs,
  );
  const results = flattenTree<Value>(outputTree);
  const nextStates = isStep ? flattenTree<Value>(stateTree).leaves : [];
  const weights = flattenTree<HostTensor>([params, state]).leaves; // as checked
  const firstState = flattenTree(params).leaves.length;
  const states: Value[] = [];
  const roles = traced.inputs.map((value, index): InputRole => {
    if (index >= weights.length) return { kind: "given" };
    const next: Value | undefined = nextStates[index - firstState];
    // A state that steps do not change, such as statistics, is a weight.
    if (next === undefined || next === value) return { kind: "weight", value: weights[index] };
    return { kind: "state", first: weights[index], output: results.leaves.length + states.push(next) - 1 };
  });
  const program = runPasses({ ...traced, outputs: [...results.leaves, ...states] });
  const values = [...program.inputs, ...program.equations.flatMap(({ outputs }) => outputs)];
  values.forEach((value) => checkFits(value, sizes));
  const inputs = flattenTree<Spec>(given);
  checkMasksAreRead(program, inputs.paths);
  return {
    program,
    roles,
    sizes,
    names,
    isStep,
    inputs: inputs.leaves.map((spec, index) => ({ spec, path: inputs.paths[index] })),
    outputs: results.leaves.map((spec, index) => ({ spec, path: results.paths[index] })),
  };
}

/** The most elements of a tensor: 2 GiB, as both kinds of files address bytes with 32 bits. */
const MOST_ELEMENTS = 2 ** 29 - 1;

/** Throws for a tensor that is too large whatever its open sizes are. */
function checkFits(tensor: Spec, sizes: readonly string[]): void {
  const smallest = Object.fromEntries(sizes.map((name) => [name, 1]));
  if (evaluateDim(sizeOfShape(tensor.shape), smallest) <= MOST_ELEMENTS) return;
  throw new RangeError(
    `Cannot export a model: it has a tensor ${
      printSpec(tensor)
    }, expected less than 2 GiB each; choose smaller sizes`,
  );
}

/**
 * What is given, with the open sizes that `predict` has, so that the Program is the same: the first one of first axes is
 * `batch`, and all others are at least 1.
 */
function openSizes(given: Given): Pick<ModelProgram, "sizes" | "names"> & { readonly given: Given } {
  const { leaves, paths } = flattenTree<Spec>(given);
  const open = new Map<Dim, string>();
  leaves.forEach((leaf, index) =>
    leaf.shape.forEach((dim, axis) => {
      if (typeof dim === "number" || open.has(dim)) return;
      if (!/^[A-Za-z_]\w*$/.test(String(dim))) {
        throw new RangeError(
          `Cannot export a model: axis ${axis} of ${printPath(paths[index])} is ${dim}, expected a number ` +
            `or a name; name it, as in spec([null, "steps"])`,
        );
      }
      const isBatch = axis === 0 && ![...open.values()].includes("batch");
      const lengths = [...open.values()].filter((name) => name !== "batch").length;
      open.set(dim, isBatch ? "batch" : lengths === 0 ? "length" : `length_${lengths}`);
    })
  );
  const ours = (dim: Dim): Dim => {
    const name = open.get(dim);
    if (name === undefined) return dim;
    return name === "batch" ? symbol(name) : positiveSymbol(name);
  };
  return {
    sizes: [...open.values()],
    names: [...open.keys()].map(String),
    given: mapTree(given, ({ shape, dtype }: Spec): Spec => ({ shape: shape.map(ours), dtype })) as Given, // of its form
  };
}
