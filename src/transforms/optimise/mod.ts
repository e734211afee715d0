/** The optimiser: passes from Program to Program, in order. Each pass is a file; none changes what is computed. */
import type { Program } from "../../program/types.ts";
import { prune } from "./prune.ts";
import { simplify } from "./simplify.ts";

/** One rewriting of a Program that keeps its meaning. */
export interface Pass {
  readonly name: string;
  readonly run: (program: Program) => Program;
}

/** The passes in the order in which they run. */
export const passes: readonly Pass[] = [
  { name: "prune", run: prune },
  { name: "simplify", run: simplify },
  { name: "prune again", run: prune },
];

/** Runs every pass. */
export function optimise(program: Program): Program {
  return passes.reduce((current, pass) => pass.run(current), program);
}
