/**
 * The intermediate representation: a Program is a list of equations in static single assignment form over
 * values of known dtype and (possibly symbolic) shape. Plain data; tracing builds it, transforms rewrite it,
 * backends run it.
 */
import {
  type ArithmeticAttributes,
  type ChoiceAttributes,
  type ComparisonAttributes,
  type ElementwiseName,
  isElementwiseName,
  type None,
  type UnaryAttributes,
} from "./elementwise.ts";
import type { Dim, Shape } from "../tensor/dims.ts";
import type { DType, HostTensor, Spec } from "../tensor/tensor.ts";

/** The result of an equation, or an input of a Program. Values are compared by identity. */
export interface Value extends Spec {
  /** Sizes may be symbolic. */
  readonly shape: Shape;
  /** The type of an element. */
  readonly dtype: DType;
}

/**
 * Every primitive with its attributes. docs/numbers.md defines what each does with NaN, infinities, zeros of
 * either sign and empty axes; it is the same on every backend. Elementwise operations need equal shapes and
 * dtypes (the public functions insert `broadcast`); float operations take float32 or float64.
 */
export interface Attributes
  extends UnaryAttributes, ArithmeticAttributes, ComparisonAttributes, ChoiceAttributes {
  /** A tensor known while tracing. No inputs. */
  constant: { readonly value: HostTensor };
  /** 0, 1, 2… along `axis`. No inputs. */
  iota: { readonly shape: Shape; readonly axis: number; readonly dtype: DType };
  /** The value of a size as a scalar. No inputs. */
  size: { readonly dim: Dim; readonly dtype: DType };
  /** `(key int32[2], counter int32[]) -> int32[shape]`: threefry-2x32 bits; see operations/random.ts. */
  randomBits: { readonly shape: Shape };

  /**
   * To `dtype`: float to int32 truncates and clamps to the range of int32, with 0 for NaN; anything to bool
   * is `x != 0`; bool to a number is 0 or 1.
   */
  cast: { readonly dtype: DType };

  /**
   * To `shape`: input axis i becomes output axis `axes[i]` (increasing); a size 1 may grow; other axes
   * repeat.
   */
  broadcast: { readonly shape: Shape; readonly axes: readonly number[] };
  /** The same elements in row-major order in another shape. */
  reshape: { readonly shape: Shape };
  /** Output axis i is input axis `permutation[i]`. */
  transpose: { readonly permutation: readonly number[] };
  /** Flips the axes. */
  reverse: { readonly axes: readonly number[] };
  /** Per axis: `size` elements from `start`, every `stride`-th. */
  slice: {
    readonly start: readonly Dim[];
    readonly size: readonly Dim[];
    readonly stride: readonly number[];
  };
  /**
   * The places of a window along `axis`: that axis becomes two, `size` places, `stride` apart, and `window` positions
   * in it, `dilation` apart.
   */
  windows: {
    readonly axis: number;
    readonly size: Dim;
    readonly window: number;
    readonly stride: number;
    readonly dilation: number;
  };
  /**
   * Per axis: `low` zeros before, `high` after, `interior` between neighbors (an axis of size n has n-1
   * gaps).
   */
  pad: { readonly low: readonly Dim[]; readonly high: readonly Dim[]; readonly interior: readonly number[] };
  /** One or more inputs joined along `axis`. */
  concat: { readonly axis: number };
  /**
   * `(operand [rows, ...rest], indices int32 [...i]) -> [...i, ...rest]`; indices out of range are clamped;
   * an operand without rows is refused.
   */
  gather: None;
  /**
   * `(indices int32 [...i], updates [...i, ...rest]) -> [rows, ...rest]`: sums of updates by row; the adjoint
   * of gather.
   */
  scatterAdd: { readonly rows: Dim };

  /** Sums over `axes` (sorted), which are removed. */
  sum: { readonly axes: readonly number[] };
  /** Largest over `axes` (sorted), which are removed; -infinity (int32: the minimum) if an axis is empty. */
  max: { readonly axes: readonly number[] };
  /**
   * int32 index of the first NaN, else of the first largest, along `axis`, which is removed and may not be
   * empty.
   */
  argmax: { readonly axis: number };
  /**
   * Sums along `axis` of the elements up to each one, which with `exclusive` is left out; `reverse`: of those from each
   * one to the end.
   */
  cumsum: { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };

  /**
   * `[...b, m, k] × [...b, k, n] -> [...b, m, n]`; ranks and leading sizes are equal. `transposeLeft`: the
   * left input is `[...b, k, m]`; `transposeRight`: the right one is `[...b, n, k]`.
   */
  matmul: { readonly transposeLeft: boolean; readonly transposeRight: boolean };

  /**
   * `[batch, ...spatial, in]`, padded, and a kernel `[...window, in / groups, out]`: for each of the `sizes` places, which
   * are `strides` apart, the sum over the window, whose positions are `dilation` apart, and over the channels of the group.
   */
  convolve: {
    readonly sizes: readonly Dim[];
    readonly window: readonly number[];
    readonly strides: readonly number[];
    readonly dilation: readonly number[];
    readonly groups: number;
  };

  /** A Program folded over time; see `ScanAttributes`. */
  scan: ScanAttributes;
}

/**
 * A fold. Inputs are `constants`, then the initial carries, then sequences. The body takes the constants, the
 * carries and one slice of every sequence, and returns the next carries (same specs), then one slice per
 * stacked output. Outputs are the final carries, then the stacked outputs, aligned with the steps that made
 * them.
 *
 * Time is axis 1 of a sequence (`[batch, time, ...]` has slices `[batch, ...]`), or axis 0 of a sequence of
 * scalars (`[time]`); `timeAxis` says which.
 */
export interface ScanAttributes {
  /** One step. */
  readonly body: Program;
  /** How many inputs are the same at every step. */
  readonly constants: number;
  /** How many inputs are initial carries. */
  readonly carries: number;
  /** The number of steps. */
  readonly length: Dim;
  /** Steps run from the last element to the first. */
  readonly reverse: boolean;
  /** The derivative keeps only the carries of each step and recomputes the body (checkpointing). */
  readonly recompute: boolean;
}

/** The name of a primitive. */
export type OperationName = keyof Attributes;

/** The record of a primitive: everything known about it outside the backends. */
export interface Operation<K extends OperationName = OperationName> {
  /** Its name, by which backends find their kernel. */
  readonly name: K;
  /**
   * The shape rule: specs of the outputs from those of the inputs.
   *
   * @throws TypeError or RangeError that names both shapes.
   */
  readonly infer: (inputs: readonly Spec[], attributes: Attributes[K]) => Spec[];
  /**
   * Whether it costs less than reading its result from memory, so that derivatives recompute it; absent:
   * false.
   */
  readonly isCheap?: boolean;
  /**
   * Whether computing all steps of a loop at once is worthwhile, although the results then need memory;
   * absent: false.
   */
  readonly isHeavy?: boolean;
  /**
   * The index of an input whose axes are the first ones of the output: each place along them depends on that
   * element of the input, and on all of the other inputs. Absent if there is none.
   */
  readonly leading?: number;
  /**
   * For an operation whose output has only elements of its first input: the output axis that holds what lay
   * along an axis of that input, in the same order; undefined if that is split up or incomplete.
   */
  readonly movedAxis?: (move: AxisMove<K>) => number | undefined;
}

/** The arguments of a rule for the axes of an operation. */
export interface AxisMove<K extends OperationName = OperationName> {
  /** The axis of the first input. */
  readonly axis: number;
  /** The operation's inputs. */
  readonly inputs: readonly Spec[];
  /** Its attributes. */
  readonly attributes: Attributes[K];
}

/** One application of a primitive. */
export interface EquationOf<K extends OperationName> {
  /** The record of the primitive. */
  readonly operation: Operation<K>;
  /** Its inputs. */
  readonly inputs: readonly Value[];
  /** Its attributes. */
  readonly attributes: Attributes[K];
  /** Its outputs; no other equation makes them. */
  readonly outputs: readonly Value[];
}

/** An application of any primitive. */
export type Equation = { [K in OperationName]: EquationOf<K> }[OperationName];

/** Inputs, equations in order of computation, outputs. An output may be an input. */
export interface Program {
  /** The values given by a call. */
  readonly inputs: readonly Value[];
  /** The equations, each after those whose results it reads. */
  readonly equations: readonly Equation[];
  /** The values returned. */
  readonly outputs: readonly Value[];
}

/** Whether `equation` applies the primitive `name`; narrows its attributes. */
export function isEquation<K extends OperationName>(
  equation: Equation | undefined,
  name: K,
): equation is Extract<Equation, EquationOf<K>> {
  return equation?.operation.name === name;
}

/** An application of an elementwise primitive. */
export type ElementwiseEquation = { [Name in ElementwiseName]: EquationOf<Name> }[ElementwiseName];

/** Whether the equation works element by element; `stopGradient` counts, as the identity. */
export function isElementwise(equation: Equation | undefined): equation is ElementwiseEquation {
  return equation !== undefined && isElementwiseName(equation.operation.name);
}

/** The time axis of a sequence of this rank: 1, or 0 if each step is a scalar. */
export function timeAxis(rank: number): number {
  return Math.min(1, rank - 1);
}

/** The spec of a sequence whose steps have this spec. */
export function stackedSpec(step: Spec, length: Dim): Spec {
  const axis = timeAxis(step.shape.length + 1);
  return { shape: [...step.shape.slice(0, axis), length, ...step.shape.slice(axis)], dtype: step.dtype };
}

/** The spec of one step of a sequence. */
export function stepSpec(sequence: Spec): Spec {
  const axis = timeAxis(sequence.shape.length);
  return { shape: sequence.shape.filter((_, other) => other !== axis), dtype: sequence.dtype };
}
