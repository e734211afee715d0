/** Whether the first axis of an imported model's inputs and outputs is a batch, whose rows are computed apart. */
import { quoted } from "../../../src/quoted.ts";
import { traceFlat } from "../../../src/program/trace.ts";
import { isEquation } from "../../../src/program/types.ts";
import type { Applied, ApplyContext, Variables } from "../../../src/layers/layer.ts";
import { type Dim, printShape, type Shape, symbol } from "../../../src/tensor/dims.ts";
import { type Spec, specOf, type Tensor } from "../../../src/tensor/tensor.ts";
import { flattenTree, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import { inputsOf, type OnnxInput, treeOf } from "./inputs.ts";

type Apply = (variables: Variables, input: Tree<Tensor>, context: ApplyContext) => Applied;

const REMEDY = "tell fromOnnx which axis the batch is, as in batchAxis: 1, or use run of the imported model";

/** Why data cannot be cut into batches along the first axis, and what to do instead; undefined if it can. */
export function unbatched(
  inputs: readonly OnnxInput[],
  outputs: readonly string[],
  variables: Variables,
  apply: Apply,
): string | undefined {
  const fault = faultOfInputs(inputs) ?? faultOfGraph(inputs, outputs, variables, apply);
  return fault && `${fault}; ${REMEDY}`;
}

function faultOfInputs(inputs: readonly OnnxInput[]): string | undefined {
  const known = inputs.filter((input): input is OnnxInput & { readonly shape: Shape } =>
    input.shape !== undefined
  );
  const elsewhere = new Set<Dim | undefined>(known.flatMap(({ shape }) => shape.slice(1)));
  const [first] = known;
  const other = known.find(({ shape: [batch] }) => {
    const [expected] = first.shape;
    if (batch === expected && batch !== undefined) return false;
    // Exporters often name the same size twice; but one that is another axis elsewhere is not the batch.
    const mayBeOne = [batch, expected].every((dim) => typeof dim === "object" && !elsewhere.has(dim));
    return !mayBeOne;
  });
  if (!other) return undefined;
  const [one, two] = [first, other].map(({ name, shape }) => `${quoted(name)} is ${printShape(shape)}`);
  return one === two ? `its input ${one}` : `its inputs do not have the same first axis: ${one}, ${two}`;
}

/** What a trace with an open batch shows; nothing if the graph needs its sizes as numbers. */
function faultOfGraph(
  inputs: readonly OnnxInput[],
  outputs: readonly string[],
  { params, state }: Variables,
  apply: Apply,
): string | undefined {
  const fixed = inputs.every(({ shape }) => typeof shape?.[0] === "number");
  const batch = fixed ? inputs[0].shape?.[0] : symbol("batch");
  const specs = inputs.map(({ dtype, shape }): Spec | undefined =>
    shape && batch !== undefined ? { dtype, shape: [batch, ...shape.slice(1)] } : undefined
  );
  if (!specs.every((spec) => spec !== undefined)) return undefined;
  const names = inputs.map(({ name }) => name);
  const given = { variables: { params, state }, input: treeOf(names, specs as unknown as Tensor[]) }; // as leaves
  const { leaves, structure } = flattenTree<Spec>(given);
  const trace = () =>
    traceFlat(leaves.map(specOf), (tensors) => {
      const { variables, input } = unflattenTree<{ variables: Variables; input: Tree<Tensor> }>(
        structure,
        tensors,
      );
      const results = inputsOf(outputs, apply(variables, input, { training: false }).output);
      return { outputs: results, result: undefined };
    }).program;
  let program: ReturnType<typeof trace>;
  try {
    program = trace();
  } catch {
    return undefined; // a call says what is wrong, or has the sizes as numbers
  }
  const isOverBatch = !fixed &&
    program.equations.some((equation) =>
      isEquation(equation, "scan") && equation.attributes.length === batch
    );
  if (isOverBatch) {
    const [{ name, shape = [] }] = inputs;
    return `the first axis of its input, ${quoted(name)} ${printShape(shape)}, is that of steps in time`;
  }
  const wrong = program.outputs.findIndex(({ shape }) => shape[0] !== batch);
  return wrong < 0
    ? undefined
    : `its output ${quoted(outputs[wrong])} is ${
      printShape(program.outputs[wrong].shape)
    }, without the batch first`;
}
