/** What the rule of a primitive's derivative is given and returns. */
import type { Attributes, Equation, OperationName, Program, Value } from "../program/types.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * The reverse-mode derivative of a primitive, written with traced operations: maps the cotangents of the
 * outputs to those of the inputs; undefined means zero. Only results for inputs marked in `wanted` are read.
 */
export type Derivative<K extends OperationName> = (
  context: DerivativeContext<K>,
) => readonly (Tensor | undefined)[];

/** A rule for each primitive of a family; undefined if its derivative is zero. */
export type Derivatives<K extends OperationName> = { readonly [Name in K]: Derivative<Name> | undefined };

/** The arguments of a derivative rule. */
export interface DerivativeContext<K extends OperationName = OperationName> {
  /** The operation's inputs. */
  readonly inputs: readonly Tensor[];
  /** Its outputs. */
  readonly outputs: readonly Tensor[];
  /** Its attributes. */
  readonly attributes: Attributes[K];
  /** The gradients with respect to its outputs; undefined means zero. */
  readonly cotangents: readonly (Tensor | undefined)[];
  /** Which inputs need a cotangent. */
  readonly wanted: readonly boolean[];
  /** Differentiates a Program that is an attribute. */
  readonly differentiation: Differentiation;
}

/** Reverse-mode differentiation of a Program, in two halves. */
export interface Differentiation {
  /** The values of `program` that depend differentiably on the active inputs. */
  activeValues(program: Program, activeInputs: readonly boolean[]): Set<Value>;
  /** Runs `program` on `inputs` in the current trace, ready for `pullback`. */
  record(program: Program, inputs: readonly Tensor[], activeInputs: readonly boolean[]): Tape;
  /**
   * The cotangents of the Program's inputs from those of its outputs, computed in the current trace; undefined
   * means zero. Inputs that were not active get undefined.
   */
  pullback(tape: Tape, cotangents: readonly (Tensor | undefined)[]): (Tensor | undefined)[];
}

/** A recorded run of a Program. */
export interface Tape {
  readonly program: Program;
  /** Values that depend on an active input through differentiable operations. */
  readonly active: ReadonlySet<Value>;
  readonly entries: readonly TapeEntry[];
  readonly outputs: readonly Tensor[];
}

/** An equation as it was run. */
export interface TapeEntry {
  readonly equation: Equation;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}
