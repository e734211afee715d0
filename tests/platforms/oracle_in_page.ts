/** The oracle's cases in a page: bundled with the library, handed the text of the files. */
import type { Device } from "@cellfold/cellfold";
import { caseLines, groupLine } from "../oracle/report.ts";
import { parseOracle } from "../oracle/format.ts";
import { isHit, runCase } from "../oracle/run.ts";

/** What came of a group. */
export interface GroupResult {
  /** The line of the group, then those of its misses. */
  readonly lines: readonly string[];
  readonly passed: boolean;
}

/** Runs the cases of a file on a device. */
export async function runOracle(text: string, name: string, device: Device): Promise<GroupResult> {
  const { group, cases } = parseOracle(text, name);
  const outcomes = [];
  for (const oracleCase of cases) outcomes.push(await runCase(oracleCase, device));
  return {
    lines: [groupLine(group, outcomes), ...caseLines(group, outcomes)],
    passed: outcomes.every((outcome) => outcome.oracleCase.quirk || isHit(outcome)),
  };
}
