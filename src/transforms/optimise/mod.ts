/** The optimiser: passes from Program to Program, in order. Each pass is a file; none changes what is computed. */
import type { Program } from "../../program/types.ts";
import { hoist } from "./hoist.ts";
import { merge } from "./merge.ts";
import { prune } from "./prune.ts";
import { simplify } from "./simplify.ts";
import { sink } from "./sink.ts";
import { split } from "./split.ts";

/** One rewriting of a Program that keeps its meaning. */
export interface Pass {
  readonly name: string;
  readonly run: (program: Program) => Program;
}

/** Passes that also run before a Program is differentiated, as derivatives keep the form that they give. */
const early: readonly Pass[] = [
  { name: "prune", run: prune },
  { name: "simplify", run: simplify },
  { name: "hoist constants", run: hoist },
  { name: "merge", run: merge },
  { name: "hoist", run: hoist },
];

/** All passes in the order in which they run. */
export const passes: readonly Pass[] = [
  ...early,
  { name: "sink", run: sink },
  { name: "split", run: split },
  { name: "simplify again", run: simplify },
  { name: "prune again", run: prune },
];

/** Runs every pass. */
export function optimise(program: Program): Program {
  return passes.reduce((current, pass) => pass.run(current), program);
}

/** The form of a Program of which derivatives are best taken: what the value does not read is gone, products are out. */
export function prepareToDifferentiate(program: Program): Program {
  return early.reduce((current, pass) => pass.run(current), program);
}
