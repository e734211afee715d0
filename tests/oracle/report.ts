/** What people read: a line per group, and every miss by name. */
import { printError } from "./compare.ts";
import { isHit, type Outcome } from "./run.ts";

/** How many misses of one case are listed. */
const LISTED = 5;

/** The lines about one case that is a miss. */
function missLines({ oracleCase, findings, failure }: Outcome): string[] {
  if (failure !== undefined) return [`cannot run: ${failure}`];
  const misses = findings.filter(({ passed }) => !passed);
  const listed = misses.slice(0, LISTED).map(({ what, reason }) => `${what}: ${reason}`);
  const more = misses.length - listed.length;
  return [
    `${misses.length} of ${findings.length} tensors differ (${oracleCase.layer})`,
    ...listed.map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

/** The relative error of the worst tensor; undefined where nothing was compared. */
function worstError(outcomes: readonly Outcome[]): number | undefined {
  const errors = outcomes.flatMap(({ findings }) => findings.map(({ relative }) => relative));
  return errors.length === 0 ? undefined : errors.reduce((worst, error) => Math.max(worst, error), 0);
}

/** `lstm: 42/42, worst relative error 3e-7`. */
export function groupLine(group: string, outcomes: readonly Outcome[]): string {
  const counted = outcomes.filter(({ oracleCase }) => !oracleCase.quirk);
  const worst = worstError(counted);
  const hits = counted.filter(isHit).length;
  const tail = worst === undefined
    ? ""
    : `, worst relative error ${Number.isFinite(worst) ? printError(worst) : "infinite"}`;
  return `${group}: ${hits}/${counted.length}${tail}`;
}

/** The lines about the cases of a group: its misses, each named, and its quirks. */
export function caseLines(group: string, outcomes: readonly Outcome[]): string[] {
  const lines: string[] = [];
  for (const outcome of outcomes) {
    const { quirk, name } = outcome.oracleCase;
    if (quirk) lines.push(`quirk: ${group} ${name}: ${quirkText(outcome)}`);
    else if (!isHit(outcome)) {
      const [first, ...rest] = missLines(outcome);
      lines.push(`miss: ${group} ${name}: ${first}`, ...rest);
    }
  }
  return lines.map((line) => `  ${line}`);
}

function quirkText(outcome: Outcome): string {
  if (isHit(outcome)) return "same as the framework";
  return missLines(outcome).map((line) => line.trim()).join("; ");
}
