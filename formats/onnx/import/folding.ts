/**
 * Constant folding: a node whose operands are all known while a graph is traced is computed at once, whatever its
 * operator, so that what it computes may determine shapes, axes and branches.
 */
import { isTracing, outsideTraces, traceFlat } from "../../../src/program/trace.ts";
import { type Tensor } from "../../../src/tensor/tensor.ts";
import { workOfProgram } from "./limits.ts";
import type { Inputs } from "./operator.ts";
import { asSizes, isKnown, type OnnxValue } from "./values.ts";

/** What may still be done while a graph is traced. */
export interface Folding {
  /** Elementwise operations on known values. */
  work: number;
  /** Nodes, as often as they are traced: those of loops are more than once. */
  nodes: number;
}

/** Elementwise operations that a trace may compute: well under a second. More are left to the compiled code. */
const MOST_WORK = 2 ** 22;

/** How often a trace may go through the nodes of a graph, on average: those of loops that are written out are many. */
const MOST_TIMES = 8;

/** The folding of one trace of a graph with at most this many nodes. */
export function newFolding(maxNodes: number): Folding {
  return { work: MOST_WORK, nodes: MOST_TIMES * maxNodes };
}

/** Counts a node; throws if there are too many. */
export function countNode(folding: Folding): void {
  if (--folding.nodes >= 0) return;
  throw new RangeError(
    "the loops around it and before it are followed or written out for too many steps; give them fewer, or export the " +
      "model with Scan",
  );
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
