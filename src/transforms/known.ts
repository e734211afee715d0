/** What a function computes from some of its arguments alone, while the others are known by shape only. */
import { runProgram } from "../../kernels/reference/mod.ts";
import { traceFlat } from "../program/trace.ts";
import { type HostTensor, isTensor, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, unflattenTree } from "../tree/tree.ts";
import { prune } from "../passes/prune.ts";

/**
 * The result of `fn`, computed immediately, if it reads nothing unknown; undefined if it does. Nothing else
 * is computed: if only the mask of a model is requested, the layers are not run.
 *
 * @param known Trees of tensors on the host.
 * @param unknown Trees of tensors or specs.
 */
export function resultFrom<Known, Unknown, Result>(
  fn: (known: Known, unknown: Unknown) => Result,
  known: Known,
  unknown: unknown,
): Result | undefined {
  const given = flattenTree<Tensor>(known, "known");
  const open = flattenTree<Spec>(unknown, "unknown");
  const { program, captured, result: structure } = traceFlat([...given.leaves, ...open.leaves], (tracers) => {
    const count = given.leaves.length;
    const result = fn(
      unflattenTree<Known>(given.structure, tracers.slice(0, count)),
      unflattenTree<Unknown>(open.structure, tracers.slice(count)),
    );
    const output = flattenTree<Tensor>(result, "result");
    return { outputs: output.leaves, result: output.structure };
  });
  const { equations, outputs } = prune(program, () => {});
  const read = new Set([...outputs, ...equations.flatMap(({ inputs }) => inputs)]);
  const inputs = program.inputs.slice(0, given.leaves.length);
  const isKnown = captured.length === 0 &&
    program.inputs.slice(inputs.length).every((value) => !read.has(value)) && given.leaves.every(isOnHost);
  if (!isKnown) return undefined;
  return unflattenTree<Result>(
    structure,
    runProgram({ inputs, equations, outputs }, given.leaves as HostTensor[]),
  ); // tested above
}

function isOnHost(leaf: Tensor): leaf is HostTensor {
  return isTensor(leaf) && leaf.kind === "host";
}
