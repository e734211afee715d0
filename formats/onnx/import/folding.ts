/**
 * Constant folding: a node whose operands are all known while a graph is traced is computed at once, whatever its
 * operator, so that what it computes may determine shapes, axes and branches.
 */
import { isTracing, outsideTraces, traceFlat } from "../../../src/program/trace.ts";
import { type Tensor } from "../../../src/tensor/tensor.ts";
import { workOfProgram } from "./limits.ts";
import type { Inputs } from "./operator.ts";
import { asSizes, isKnown, type OnnxValue } from "./values.ts";

/** What may still be computed while a graph is traced. */
export interface Folding {
  /** Elementwise operations. */
  work: number;
}

/** Elementwise operations that a trace may compute: well under a second. More are left to the compiled code. */
const MOST_WORK = 2 ** 22;

/** The folding of one trace. */
export function newFolding(): Folding {
  return { work: MOST_WORK };
}

/** The results of a node, computed at once if all that it reads is known. */
export function folded(
  operands: Inputs,
  compute: () => readonly OnnxValue[],
  folding: Folding,
): readonly OnnxValue[] {
  if (!isTracing() || !operands.every((value) => value === undefined || isKnown(value))) return compute();
  if (operands.length === 0) return compute().map(asSizes);
  const work = workOf(compute);
  if (work === undefined || work > folding.work) return compute();
  folding.work -= work;
  return outsideTraces(compute).map(asSizes);
}

/** What a computation without inputs takes; undefined if it reads something that is not known after all, as a random key. */
function workOf(compute: () => readonly OnnxValue[]): number | undefined {
  const { program, captured } = traceFlat<undefined>([], () => {
    const outputs = compute().flatMap((value): Tensor[] => value.kind === "tensor" ? [value.base] : []);
    return { outputs, result: undefined };
  });
  return captured.length > 0 ? undefined : workOfProgram(program);
}
