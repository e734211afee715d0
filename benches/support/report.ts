/**
 * The table of a run: on the terminal with everything that was measured, in Markdown with what readers need.
 */
import type { Workload } from "../workloads.ts";
import type { Entry } from "./measurements.ts";
import { describeTarget, evaluate, printFigure, printMilliseconds, type Verdict } from "./targets.ts";

/** The contents of a report. */
export interface Results {
  /** The workloads that were run. */
  readonly workloads: readonly Workload[];
  /** For each workload and subject, the better entry. */
  readonly entries: readonly Entry[];
  /** The machine, the date, the versions: one line each. */
  readonly heading: readonly string[];
}

/** The table as text. */
export function printTable({ workloads, entries, heading }: Results): string {
  const lines = [...heading, ""];
  for (const workload of workloads) {
    lines.push(`${workload.name}: ${workload.measures}`);
    const own = ownEntry(workload, entries);
    for (const entry of entriesOf(workload, entries)) {
      const ratio = own && entry !== own ? `${(own.medianMs / entry.medianMs).toFixed(3)} ×` : "";
      lines.push(
        `    ${entry.subject.padEnd(17)}${entry.threads} threads`.replace("1 threads", "1 thread ") +
          ` median ${printMilliseconds(entry.medianMs).padStart(9)}  min ${
            printMilliseconds(entry.minMs).padStart(9)
          }  ${ratio}`.trimEnd(),
      );
    }
    if (own?.leastMs !== undefined) {
      lines.push(`    products alone, at the ceiling: ${printMilliseconds(own.leastMs)}`);
    }
    for (const [name, value] of Object.entries(own?.values ?? {})) {
      lines.push(`    ${name}: ${value.toLocaleString("en", { maximumFractionDigits: 3 })}`);
    }
    for (const verdict of verdictsOf(workload, entries)) lines.push(`  ${printVerdict(verdict)}`);
  }
  const all = workloads.flatMap((workload) => verdictsOf(workload, entries));
  const count = (passes: boolean | undefined) => all.filter((verdict) => verdict.passes === passes).length;
  lines.push("", `${count(true)} reached, ${count(false)} missed, ${count(undefined)} not measured`);
  return lines.join("\n");
}

/** The table as Markdown, with each line of the heading as a sentence below it. */
export function markdownTable({ workloads, entries, heading }: Results): string {
  const rows = workloads.map((workload) => {
    const own = ownEntry(workload, entries);
    const others = entriesOf(workload, entries).filter((entry) => entry !== own).map((entry) =>
      `${entry.subject} ${printMilliseconds(entry.medianMs)}`
    );
    const verdicts = verdictsOf(workload, entries).map((verdict) => {
      const { target, reached } = verdict;
      const figure = reached === undefined ? "–" : printFigure(target, reached);
      const against = target.kind === "peer" || target.kind === "workload"
        ? ` ${describeTarget(target).slice(2)}`
        : "";
      const least = verdict.leastMs === undefined ? "" : ", below the lower bound";
      return `${markOf(verdict)} ${figure}${against} (≤ ${limits(verdict)}${least})`;
    });
    return [
      `\`${workload.name}\``,
      ownTime(own),
      others.join("<br>"),
      verdicts.join("<br>"),
    ];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["workload", "Cellfold", "peers", "target met? (required; goal)"]),
    line(["---", "---", "---", "---"]),
    ...rows.map(line),
    "",
    ...heading.map((text) => `${text}  `.trimEnd()),
    "",
  ].join("\n");
}

/**
 * A page in which the table of a backend replaces the text between its marks, `<!-- bench wasm -->` and
 * `<!-- end of bench wasm -->`; just the table if the page has no such marks.
 */
export function pageWithTable(page: string, backend: string, table: string): string {
  const [start, end] = [`<!-- bench ${backend} -->`, `<!-- end of bench ${backend} -->`];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) return table;
  return `${page.slice(0, from + start.length)}\n\n${table}\n${page.slice(to)}`;
}

/** The time, and the lower bound below it. */
function ownTime(own: Entry | undefined): string {
  if (!own) return "–";
  const least = own.leastMs === undefined ? "" : `<br>(lower bound ${printMilliseconds(own.leastMs)})`;
  return `${printMilliseconds(own.medianMs)}${least}`;
}

function ownEntry({ name }: Workload, entries: readonly Entry[]): Entry | undefined {
  return entries.find(({ workload, subject }) => workload === name && subject === "cellfold");
}

function entriesOf({ name }: Workload, entries: readonly Entry[]): readonly Entry[] {
  return entries.filter(({ workload }) => workload === name);
}

/** The evaluated targets of a workload. */
export function verdictsOf(workload: Workload, entries: readonly Entry[]): readonly Verdict[] {
  return workload.targets.map((target) => evaluate(target, workload.name, entries));
}

function printVerdict(verdict: Verdict): string {
  const { target, reached } = verdict;
  const figure = reached === undefined ? "not measured" : printFigure(target, reached);
  const least = verdict.leastMs === undefined ? "" : ": less than products alone take at the ceiling";
  return `${markOf(verdict)} ${describeTarget(target)}: ${figure}, must be at most ${
    limits(verdict)
  }${least}`;
}

function limits({ target }: Verdict): string {
  const goal = target.aim === undefined ? "" : `; goal ${printFigure(target, target.aim)}`;
  return `${printFigure(target, target.mustReach)}${goal}`;
}

function markOf({ passes }: Verdict): string {
  return passes === undefined ? "?" : passes ? "✓" : "✗";
}
