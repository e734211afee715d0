/** What a rule of lowering is: how the equations of an operation become kernels, and what it may ask of their block. */
import type { Bindings } from "../../../src/tensor/dims.ts";
import type { Attributes, OperationName, Program, Value } from "../../../src/program/types.ts";
import type { Buffer, Located, View } from "../views.ts";

/** What is added to some columns of a product. */
export interface Addend {
  readonly first: number;
  readonly columns: number;
  /** One of the product's inputs from the third on. */
  readonly value: Value;
}

/** An equation of an operation, as far as it matters here. */
export interface Applied<Name extends OperationName> {
  readonly operation: { readonly name: Name };
  readonly inputs: readonly Value[];
  readonly attributes: Attributes[Name];
  readonly outputs: readonly Value[];
}

/** The block whose equation is lowered. */
export interface Lowering<Inside = unknown> {
  readonly bindings: Bindings;
  /** How many loops over time are around the block. */
  readonly depth: number;
  readonly locate: (value: Value) => Located;
  /** A value in memory; a constant is put there. */
  readonly viewIn: (value: Value) => View;
  /** Where a value that the block computes is written first. */
  readonly storeOf: (value: Value) => View;
  /** What is added to the results of products. */
  readonly addendsOf: ReadonlyMap<object, readonly Addend[]>;
  /** Lowers the body of a loop of this block; gives its kernels, and how many rows may be worked on apart. */
  readonly lowerBody: (
    program: Program,
    given: ReadonlyMap<Value, Located>,
    targets: readonly View[],
    carries: readonly View[],
  ) => { readonly kernels: readonly Inside[]; readonly rows: number };
}

/** The rule for an operation. */
export interface Rule<Name extends OperationName, Kernel, Inside = unknown> {
  /** The kernels that write the first output to `output`. */
  readonly lower: (equation: Applied<Name>, output: View, lowering: Lowering<Inside>) => readonly Kernel[];
  /** The elements of the buffer for so many, where its kernel writes a buffer of its own and nowhere else. */
  readonly ownElements?: (size: number) => number;
}

/** The rules for operations: the compiler names one that is missing. */
export type Rules<Name extends OperationName, Kernel, Inside = unknown> = {
  readonly [N in Name]: Rule<N, Kernel, Inside>;
};

/** A buffer that is planned into the arena. */
export function arena(name: string, size: number): Buffer {
  return { name, size, place: { kind: "arena" } };
}
