/** What layers are given and give, for each sample. */
import type { LayerDescription } from "../description.ts";
import { type Counts, isNested, type Nested, type NestedTree } from "./nested.ts";
import { type Logits, type Params, Value } from "./types.ts";

/** The tree that one sample has at one place. */
export type Sample = Value | readonly Sample[] | { readonly [name: string]: Sample };

/** What a run of a model knows and keeps. */
export interface Run {
  readonly training: boolean;
  /** The sum of the penalties of outputs, over all samples; added to by the run. */
  penalties: number;
  /** Carries of stateful layers and moving statistics, by the layer's path; changed by the run. */
  readonly state: Map<string, unknown>;
  /** What each call of a stateful layer started from, one entry per row, in the order of the calls. */
  readonly started: Carries[];
  /** What they start from instead of the state: the `started` of another run. */
  readonly held?: readonly Carries[];
}

/** The carry of each row; undefined before the first call. */
export type Carries = readonly NestedTree[] | undefined;

/** What a call of a layer is given beside its input. */
export interface Extras {
  /** Per sample. */
  readonly initialState?: readonly NestedTree[];
  /** Whether the samples are steps of something: a step counts as long as anything in it did. */
  readonly rows?: boolean;
  readonly frozen: boolean;
}

export type Layer = (
  description: LayerDescription,
  params: Params,
  samples: readonly Sample[],
  extras: Extras,
  run: Run,
  path: string,
) => Sample[];

/** The one value of a sample whose tree is a single leaf. */
export function only(sample: Sample): Value {
  if (sample instanceof Value) return sample;
  throw new TypeError("expected one value, got a tree");
}

export function leavesOf(sample: Sample): Value[] {
  if (sample instanceof Value) return [sample];
  if (Array.isArray(sample)) return sample.flatMap(leavesOf);
  return Object.keys(sample).sort().flatMap((key) => leavesOf((sample as { [key: string]: Sample })[key]));
}

/** What a tree has at a step, or anything else made of its values. */
export function arraysOf(sample: Sample, fn: (value: Value) => Nested): NestedTree {
  if (sample instanceof Value) return fn(sample);
  return Object.fromEntries(Object.entries(sample).map(([name, part]) => [name, arraysOf(part, fn)]));
}

/** A tree of arrays as values; only a single array has logits. */
export function valuesOf(tree: NestedTree, counts?: Counts, logits?: Logits): Sample {
  if (isNested(tree)) return new Value(tree, counts, logits);
  const names = Object.keys(tree);
  if (names.every((name) => /^\d+$/.test(name))) return names.map((name) => valuesOf(tree[name], counts));
  return Object.fromEntries(names.map((name) => [name, valuesOf(tree[name], counts)]));
}

export const inner = (description: LayerDescription) => {
  if (description.inner) return description.inner;
  throw new TypeError(`${description.type} has no layer inside`);
};

export const named = (params: Params) => params as { readonly [name: string]: Nested }; // a plain layer's parameters
