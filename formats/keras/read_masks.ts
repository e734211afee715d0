/**
 * The masks in a functional configuration: Keras records how it computes them and passes them to layers. If a
 * call gets just the mask that its input carries, none is needed here, since masks are passed along
 * automatically.
 */
import type { Layer } from "../../src/layers/mod.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { masksOfCall, ofAll } from "./masks.ts";

/** A tensor or a mask: equal texts are equal computations. */
type Expression = string;

/** What is known about the masks of a graph as it is read. */
export interface MaskReader {
  /** Records an operation; its arguments are JSON in which `tensor` finds the keys of tensors. */
  operation(key: string, className: string, args: readonly Json[], config: JsonOptions, keys: KeysOf): void;
  /** Records a call of a layer on tensors by their keys; `given` is the key of the mask passed to it. */
  call(
    key: (index: number) => string,
    layer: Layer,
    inputs: readonly string[],
    given: string | undefined,
  ): void;
  /** Whether the tensor `mask` is the mask carried by the tensor `input`. */
  travels(input: string, mask: string): boolean;
}

/** The key of the tensor that a JSON value represents; undefined for another value. */
export type KeysOf = (value: Json) => string | undefined;

/** Which tensors carry a mask in Keras 2, where masks travel with the tensors and none is recorded. */
export interface TravellingMasks {
  /** Records a call of a layer; `isGiven` is whether a mask was passed to it. */
  call(key: (index: number) => string, layer: Layer, inputs: readonly string[], isGiven: boolean): void;
  /** Records a tensor that carries a mask. */
  add(key: string): void;
  /** Whether the tensor carries a mask. */
  has(key: string): boolean;
}

/** Starts without masks. */
export function travellingMasks(): TravellingMasks {
  const masked = new Set<string>();
  return {
    call: (key, layer, inputs, isGiven) => {
      const pairs = inputs.map((tensor) => ({ tensor, mask: masked.has(tensor) ? tensor : undefined }));
      // Only whether there is one matters, so every operation gives the same.
      masksOfCall<Expression>(layer, pairs, isGiven ? "given" : undefined, () => "made")
        .forEach((mask, index) => {
          if (mask !== undefined) masked.add(key(index));
        });
    },
    add: (key) => masked.add(key),
    has: (key) => masked.has(key),
  };
}

/** Starts without knowledge. */
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
