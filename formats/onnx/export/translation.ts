/**
 * The names of a Program's values while it is written as nodes; broadcasts are deferred until they are
 * needed.
 */
import type { Attributes, OperationName, Program, Value } from "../../../src/program/types.ts";
import { sameShape } from "../../../src/tensor/dims.ts";
import { printSpec } from "../../../src/tensor/tensor.ts";
import type { GraphBuilder } from "./graph_builder.ts";

/** The part of an equation that a translation reads. */
export interface Written<K extends OperationName> extends Operands {
  readonly attributes: Attributes[K];
}

/** The inputs and outputs of an equation. */
export interface Operands {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** Writes a Program into a graph; returns the names of its outputs. */
export type WriteProgram = (
  builder: GraphBuilder,
  program: Program,
  inputs: (index: number) => string,
) => string[];

/** A broadcast that is not written yet. */
interface Pending {
  readonly source: Value;
  readonly axes: readonly number[];
}

/** The state of a translation. */
export class Translation {
  readonly builder: GraphBuilder;
  /** Writes the body of a scan. */
  readonly write: WriteProgram;
  readonly #names: Map<Value, string>;
  readonly #pending = new Map<Value, Pending>();

  constructor(builder: GraphBuilder, names: Map<Value, string>, write: WriteProgram) {
    this.builder = builder;
    this.#names = names;
    this.write = write;
  }

  /** The name of a value, in full. */
  name(value: Value): string {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const pending = this.#pending.get(value);
    if (!pending) throw new Error(`A Program reads a ${printSpec(value)} that nothing computes`);
    const name = this.#expand(value, pending);
    this.#names.set(value, name);
    return name;
  }

  /** Sets the name of a value. */
  set(value: Value, name: string): void {
    this.#names.set(value, name);
  }

  /** Defers a broadcast until it is needed. */
  broadcast(value: Value, source: Value, axes: readonly number[]): void {
    this.#pending.set(value, { source, axes });
  }

  /** Operands of an operator that broadcasts by NumPy's rules; together they still have the full shape. */
  operands(values: readonly Value[]): string[] {
    const sizesOf = (value: Value): Value["shape"] => {
      const pending = this.#names.has(value) ? undefined : this.#pending.get(value);
      if (!pending) return value.shape;
      return value.shape.map((_, axis) => {
        const from = pending.axes.indexOf(axis);
        return from < 0 ? 1 : pending.source.shape[from];
      });
    };
    const compact = values.map(sizesOf);
    const whole = values[0].shape.map((_, axis) => compact.find((sizes) => sizes[axis] !== 1)?.[axis] ?? 1);
    if (!sameShape(whole, values[0].shape)) return values.map((value) => this.name(value));
    return values.map((value) => this.#names.get(value) ?? this.#aligned(value));
  }

  /** The source of a pending broadcast with its axes in place, without leading ones. */
  #aligned(value: Value): string {
    const pending = this.#pending.get(value);
    if (!pending) return this.name(value);
    const { source, axes } = pending;
    const [first = value.shape.length] = axes;
    const missing = value.shape.map((_, axis) => axis).filter((axis) => axis > first && !axes.includes(axis));
    const name = this.name(source);
    return missing.length === 0
      ? name
      : this.builder.node("Unsqueeze", [name, this.builder.ints(missing.map((axis) => axis - first))]);
  }

  #expand(value: Value, pending: Pending): string {
    const { source } = pending;
    const aligned = this.#aligned(value);
    return source.shape.length === value.shape.length && sameShape(source.shape, value.shape)
      ? aligned
      : this.builder.node("Expand", [aligned, this.builder.shape(value.shape)]);
  }
}
