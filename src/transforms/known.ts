/** What a function computes from some of its arguments alone, while the others are known by shape only. */
import { runProgram } from "../../kernels/reference/mod.ts";
import { traceFlat } from "../program/trace.ts";
import { type HostTensor, isTensor, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, unflattenTree } from "../tree/tree.ts";
import { prune } from "../passes/prune.ts";

/**
 * What computes `fn` for values of `known`, traced once; undefined if `fn` reads anything else. Nothing else is
 * computed: if only the mask of a model is requested, the layers are not run. For values that are not on the host
 * it gives undefined.
 *
 * @param known Trees of specs, whose sizes may be open.
 * @param unknown Trees of tensors or specs.
 */
export function knownFunction<Known, Unknown, Result>(
  fn: (known: Known, unknown: Unknown) => Result,
  known: unknown,
  unknown: unknown,
): ((known: Known) => Result | undefined) | undefined {
  const given = flattenTree<Spec>(known, "known");
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
  if (captured.length > 0 || program.inputs.slice(inputs.length).some((value) => read.has(value))) {
    return undefined;
  }
  return (known) => {
    const { leaves } = flattenTree<Tensor>(known, "known");
    if (!leaves.every(isOnHost)) return undefined;
    return unflattenTree<Result>(structure, runProgram({ inputs, equations, outputs }, leaves));
  };
}

function isOnHost(leaf: Tensor): leaf is HostTensor {
  return isTensor(leaf) && leaf.kind === "host";
}
