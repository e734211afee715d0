/**
 * What a lowering rule is: how the equations of an operation become kernels, and what it may use of their
 * body.
 */
import type { Bindings, Dim } from "../../../src/tensor/dims.ts";
import type { Attributes, OperationName, Program, Value } from "../../../src/program/types.ts";
import type { Buffer, Located, View } from "../views.ts";

/** An addend for some columns of a product. */
export interface Addend {
  readonly first: number;
  readonly columns: number;
  /** One of the product's inputs from the third on. */
  readonly value: Value;
}

/** The parts of an equation that matter here. */
export interface Applied<Name extends OperationName> {
  readonly operation: { readonly name: Name };
  readonly inputs: readonly Value[];
  readonly attributes: Attributes[Name];
  readonly outputs: readonly Value[];
}

/** The body whose equation is lowered. */
export interface Lowering<Inside = unknown> {
  /** Notes a condition that the sizes of every call must meet, else the function throws. */
  readonly check: (holds: (bindings: Bindings) => void) => void;
  /** How many loops over time enclose the body. */
  readonly depth: number;
  readonly locate: (value: Value) => Located;
  /** The view of a value in memory; a constant is placed there. */
  readonly viewIn: (value: Value) => View;
  /** The first place to which a value that the body computes is written. */
  readonly storeOf: (value: Value) => View;
  /** The addends of products. */
  readonly addendsOf: ReadonlyMap<object, readonly Addend[]>;
  /**
   * Lowers the body of a loop in this one; returns its kernels, and how many rows may be computed
   * independently.
   */
  readonly lowerBody: (
    program: Program,
    given: ReadonlyMap<Value, Located>,
    targets: readonly View[],
    carries: readonly View[],
  ) => { readonly kernels: readonly Inside[]; readonly rows: Dim };
}

/** The rule for an operation. */
export interface Rule<Name extends OperationName, Kernel, Inside = unknown> {
  /** The kernels that write the first output to `output`. */
  readonly lower: (equation: Applied<Name>, output: View, lowering: Lowering<Inside>) => readonly Kernel[];
  /** The buffer size for a number of elements, if its kernel can only write a buffer of its own. */
  readonly ownElements?: (size: Dim) => Dim;
}

/** The rules for operations: the type checker reports a missing one. */
export type Rules<Name extends OperationName, Kernel, Inside = unknown> = {
  readonly [N in Name]: Rule<N, Kernel, Inside>;
};

/** A buffer that is planned into the arena. */
export function arena(name: string, size: Dim): Buffer {
  return { name, size, storage: { kind: "arena" } };
}
