/**
 * What a kernel of the reference backend is, and the strided walk that most of them share. A kernel is built
 * once for fixed shapes and then called on typed arrays repeatedly; calls allocate nothing.
 */
import type { Bindings } from "../../src/tensor/dims.ts";
import type { DType, Values } from "../../src/tensor/tensor.ts";
import type { Attributes, OperationName, Program } from "../../src/program/types.ts";

/** Shape and dtype with every size known. */
export interface ConcreteSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/**
 * Computes outputs from inputs. Outputs may hold old values and are overwritten completely; they never
 * overlap inputs.
 */
export type ReferenceKernel = (inputs: readonly Values[], outputs: readonly Values[]) => void;

/** Everything that is known about one equation before it runs. */
export interface Site<K extends OperationName> {
  readonly attributes: Attributes[K];
  readonly inputs: readonly ConcreteSpec[];
  readonly outputs: readonly ConcreteSpec[];
  /** The values of the symbols that may occur in the attributes. */
  readonly bindings: Bindings;
  /** Prepares a Program that is an attribute. */
  readonly prepare: (program: Program, bindings: Bindings) => Prepared;
}

/** A Program with its memory, ready to run. */
export interface Prepared {
  /** Specs of the Program's inputs and outputs. */
  readonly inputs: readonly ConcreteSpec[];
  readonly outputs: readonly ConcreteSpec[];
  /** Elements of memory that it holds, without the bodies of scans. */
  readonly elements: number;
  /**
   * Runs on the values of the inputs. The outputs are views: of this memory, valid until the next run, or of
   * an input where the Program's output is its input.
   */
  run(inputs: readonly Values[]): readonly Values[];
}

/** Makes the kernel of one equation. */
export type KernelBuilder<K extends OperationName> = (site: Site<K>) => ReferenceKernel;

/** Builders for the operations of one family. */
export type Kernels<K extends OperationName> = { readonly [Name in K]: KernelBuilder<Name> };

/** How the elements of a box lie in memory. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

/**
 * A box walked in two memories at once: `starts` many runs of `length` elements, evenly spaced within a run.
 * The starts of the runs are in a table, so that kernels are two plain loops.
 */
export interface StridedWalk {
  readonly length: number;
  readonly sourceStride: number;
  readonly targetStride: number;
  readonly sourceStarts: Int32Array;
  readonly targetStarts: Int32Array;
}

/** The walk over a box of this shape, in row-major order, with the longest runs that both layouts allow. */
export function walk(shape: readonly number[], source: Layout, target: Layout): StridedWalk {
  // Axes from the innermost outwards; neighbors that both memories step through evenly are merged.
  const axes: { size: number; source: number; target: number }[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis];
    if (size === 1) continue;
    const inner = axes.at(-1);
    const [from, to] = [source.strides[axis], target.strides[axis]];
    if (inner && from === inner.source * inner.size && to === inner.target * inner.size) inner.size *= size;
    else axes.push({ size, source: from, target: to });
  }
  const run = axes.shift() ?? { size: 1, source: 1, target: 1 };
  const count = run.size === 0 ? 0 : axes.reduce((runs, axis) => runs * axis.size, 1);
  const sourceStarts = new Int32Array(count);
  const targetStarts = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let rest = i;
    let from = source.offset;
    let to = target.offset;
    for (const axis of axes) {
      const index = rest % axis.size;
      rest = (rest - index) / axis.size;
      from += index * axis.source;
      to += index * axis.target;
    }
    sourceStarts[i] = from;
    targetStarts[i] = to;
  }
  return {
    length: run.size,
    sourceStride: run.source,
    targetStride: run.target,
    sourceStarts,
    targetStarts,
  };
}

/** Copies the elements of a walk. */
export function copyAlong(path: StridedWalk, source: Values, target: Values): void {
  const { length, sourceStride, targetStride, sourceStarts, targetStarts } = path;
  for (let run = 0; run < sourceStarts.length; run++) {
    const from = sourceStarts[run];
    const to = targetStarts[run];
    if (targetStride === 1 && sourceStride === 1) {
      for (let i = 0; i < length; i++) target[to + i] = source[from + i];
    } else if (targetStride === 1 && sourceStride === 0) {
      target.fill(source[from], to, to + length);
    } else {
      for (let i = 0; i < length; i++) target[to + i * targetStride] = source[from + i * sourceStride];
    }
  }
}
