/** The figures as text that can be copied, with what they depend on. */
import type { Comparison, Row } from "./benchmark.ts";

/** How long a row takes beside the first one, such as 2.5; undefined where there is no time. */
export function ratio(row: Row, [first]: readonly Row[]): number | undefined {
  return row.milliseconds === undefined || first?.milliseconds === undefined
    ? undefined
    : row.milliseconds / first.milliseconds;
}

/** A number with three digits that count, in a language. */
export function digits(value: number, language = "en"): string {
  return value.toLocaleString(language, { maximumSignificantDigits: 3 });
}

/** Where and when the figures were taken. */
export interface Place {
  readonly date: Date;
  readonly userAgent: string;
  readonly processors: number;
  readonly rounds: number;
}

/** The figures as lines of text; `nameOf` says what a workload is. */
export function reportText(
  comparisons: readonly Comparison[],
  nameOf: (comparison: Comparison) => string,
  { date, userAgent, processors, rounds }: Place,
): string {
  const lines = [
    `Cellfold benchmark, ${date.toISOString()}`,
    userAgent,
    `${processors} logical processors; WebAssembly with one thread; medians of ${rounds} rounds in turns`,
  ];
  for (const comparison of comparisons) {
    lines.push("", nameOf(comparison));
    for (const row of comparison.rows) {
      const name = `${row.subject}, ${row.device}`.padEnd(40);
      const times = ratio(row, comparison.rows);
      lines.push(
        row.milliseconds === undefined
          ? `  ${name}failed: ${row.failure}`
          : `  ${name}${digits(row.milliseconds).padStart(8)} ms${
            times === undefined ? "" : `  ${digits(times).padStart(6)} x`
          }`,
      );
    }
  }
  return lines.join("\n") + "\n";
}
