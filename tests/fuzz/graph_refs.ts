/** References of the steps of a graph to values of other steps. */
import type { Random } from "./random.ts";
import type { GraphStep, Ref, RefTree } from "./description.ts";

function refsOf(tree: RefTree): Ref[] {
  if (typeof tree === "string") return [tree];
  return Object.values(tree).flatMap((part) => refsOf(part as RefTree)); // an array or an object of trees
}

/** What a step reads. */
export function readBy(step: GraphStep): Ref[] {
  if (step.op === "input") return [];
  if (step.op === "apply") return [...step.inputs];
  return [
    ...refsOf(step.inputs),
    ...(step.initialState === undefined ? [] : refsOf(step.initialState)),
    ...(step.mask === undefined ? [] : [step.mask]),
  ];
}

export function mapRefs(tree: RefTree, fn: (ref: Ref) => Ref): RefTree {
  if (typeof tree === "string") return fn(tree);
  if (Array.isArray(tree)) return tree.map((part) => mapRefs(part, fn));
  return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, mapRefs(part, fn)]));
}

/** Leaves in a random tree: alone, in a list, by name, or nested. */
export function drawTree<T>(random: Random, leaves: readonly T[]): TreeOfLeaves<T> {
  if (leaves.length === 1 && random.chance(0.7)) return leaves[0];
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const form = random.pick(["list", "object", "nested"]);
  if (form === "list") return [...leaves];
  if (form === "object" || leaves.length < 2) {
    return Object.fromEntries(leaves.map((leaf, index) => [names[index], leaf]));
  }
  return { left: leaves[0], right: { list: leaves.slice(1) } };
}

/** A tree of leaves of any kind. */
export type TreeOfLeaves<T> = T | readonly TreeOfLeaves<T>[] | { readonly [name: string]: TreeOfLeaves<T> };
