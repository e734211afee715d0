/** References of the steps of a graph to values of other steps. */
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
