/**
 * The masks in a functional configuration: Keras records how it computes them and hands them to layers. Where a call is
 * given just the mask that travels with its input, it needs none here, since masks travel by themselves.
 */
import type { Layer } from "../../src/layers/mod.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { masksOfCall, ofAll } from "./masks.ts";

/** A tensor or a mask: equal texts stand for equal computations. */
type Expression = string;

/** What is known of the masks of a graph as it is read. */
export interface MaskReader {
  /** Notes an operation; its arguments are JSON in which `tensor` finds the keys of tensors. */
  operation(key: string, className: string, args: readonly Json[], config: JsonOptions, keys: KeysOf): void;
  /** Notes a call of a layer on tensors by their keys; `given` is the key of the mask that it is given. */
  call(
    key: (index: number) => string,
    layer: Layer,
    inputs: readonly string[],
    given: string | undefined,
  ): void;
  /** Whether the tensor `mask` is the mask that travels with the tensor `input`. */
  travels(input: string, mask: string): boolean;
}

/** The key of the tensor that a JSON value is; undefined for another value. */
export type KeysOf = (value: Json) => string | undefined;

/** Knows nothing yet. */
export function maskReader(): MaskReader {
  const interned = new Map<string, Expression>();
  /** A short name for each distinct computation, so that texts do not grow with the graph. */
  const intern = (text: string): Expression => {
    const known = interned.get(text) ?? `#${interned.size}`;
    interned.set(text, known);
    return known;
  };
  const expressions = new Map<string, Expression>();
  const masks = new Map<string, Expression>();
  const expressionOf = (key: string): Expression => expressions.get(key) ?? intern(`tensor ${key}`);
  const apply = (className: string, args: Json, config: JsonOptions): Expression =>
    intern(JSON.stringify([className, args, Object.entries(config).sort(([a], [b]) => a < b ? -1 : 1)]));
  return {
    operation: (key, className, args, { name: _, ...config }, keys) => {
      const expand = (arg: Json): Json => {
        const tensor = keys(arg);
        if (tensor !== undefined) return expressionOf(tensor);
        return Array.isArray(arg) ? arg.map(expand) : typeof arg === "string" ? `"${arg}"` : arg;
      };
      expressions.set(key, apply(className, args.map(expand), config));
      const mask = ofAll(args.map((arg) => ({ mask: masks.get(keys(arg) ?? "") })), apply);
      if (mask !== undefined) masks.set(key, mask);
    },
    call: (key, layer, inputs, given) => {
      const pairs = inputs.map((input) => ({ tensor: expressionOf(input), mask: masks.get(input) }));
      masksOfCall<Expression>(layer, pairs, given === undefined ? undefined : expressionOf(given), apply)
        .forEach((mask, index) => {
          if (mask !== undefined) masks.set(key(index), mask);
        });
    },
    travels: (input, mask) => masks.get(input) === expressionOf(mask),
  };
}
