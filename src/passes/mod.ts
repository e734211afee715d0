/** The optimizer: passes from Program to Program, in order. Each pass is a file; none changes the result. */
import type { Program } from "../program/types.ts";
import { noteInTrace } from "../program/trace.ts";
import { byGroups } from "./by_groups.ts";
import { compensate } from "./compensate.ts";
import { hoist, hoistConstants } from "./hoist.ts";
import { narrow } from "./narrow.ts";
import type { Note } from "./rewrite.ts";
import { merge, takeProductsApart } from "./merge.ts";
import { prune } from "./prune.ts";
import { simplify } from "./simplify.ts";
import { sink } from "./sink.ts";
import { split } from "./split.ts";
import { mergeSums, regroupSums } from "./sums.ts";
import { unroll } from "./unroll.ts";

/** One rewriting of a Program that keeps its meaning. */
export interface Pass {
  readonly name: string;
  readonly run: (program: Program, note: Note) => Program;
}

/** Passes that also run before a Program is differentiated, as derivatives keep the form they produce. */
const early: readonly Pass[] = [
  { name: "narrow", run: narrow },
  { name: "prune", run: prune },
  { name: "simplify", run: simplify },
  { name: "hoist constants", run: hoistConstants },
  { name: "take products apart", run: takeProductsApart },
  { name: "hoist constants again", run: hoistConstants },
  { name: "regroup sums", run: regroupSums },
  { name: "sink", run: sink },
  { name: "prune what only sums read", run: prune },
  { name: "merge", run: merge },
  { name: "merge sums", run: mergeSums },
  { name: "hoist", run: hoist },
  { name: "simplify what was merged", run: simplify },
  { name: "prune what was merged", run: prune },
];

/** All passes in the order in which they run. */
export const passes: readonly Pass[] = [
  { name: "unroll", run: unroll },
  ...early,
  { name: "by groups", run: byGroups },
  { name: "sink again", run: sink },
  { name: "split", run: split },
  { name: "simplify again", run: simplify },
  { name: "prune again", run: prune },
  { name: "compensate", run: compensate },
];

/** Runs every pass; `after` is called with the resulting Program and a description of each. */
export function runPasses(
  program: Program,
  after: (pass: string, program: Program, notes: readonly string[]) => void = () => {},
): Program {
  return passes.reduce((current, { name, run }) => {
    const notes: string[] = [];
    const next = run(current, (text) => notes.push(text));
    after(name, next, notes);
    return next;
  }, program);
}

/** The best form of a Program for differentiation: unread values are removed, and products are hoisted. */
export function prepareToDifferentiate(program: Program): Program {
  return early.reduce((current, { run }) => run(current, noteInTrace), program);
}
