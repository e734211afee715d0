/** What the large chart of the demo shows. */
import { errorsOf, type Prepared } from "./forecast.ts";

/** What training comes to. */
export interface Result {
  readonly prepared: Prepared;
  /** Of the part held out. */
  readonly predicted: readonly number[];
  /** Beyond the end. */
  readonly next: readonly number[];
  readonly errors: ReturnType<typeof errorsOf>;
}

/** Names of the lines. */
export interface Names {
  readonly measured: string;
  readonly predicted: string;
  readonly forecast: string;
}

/** Lines over the numbers of the rows: all that is known; with a result, no more than three times what was held out. */
export function chartOf(values: readonly number[], result: Result | undefined, names: Names) {
  const known = values.map((value) => Number.isNaN(value) ? null : value);
  const rowsFrom = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, i) => start + i + 1);
  if (!result) return { x: rowsFrom(0, values.length), lines: [{ name: names.measured, values: known }] };
  const { prepared: { trained }, predicted, next } = result;
  const blank = (count: number) => Array<null>(count).fill(null);
  const lines = [
    { name: names.measured, values: [...known, ...blank(next.length)] },
    { name: names.predicted, values: [...blank(trained), ...predicted, ...blank(next.length)] },
    { name: names.forecast, values: [...blank(values.length - 1), ...known.slice(-1), ...next] }, // begins where it ends
  ];
  const start = Math.max(0, values.length - 3 * (values.length - trained));
  return {
    x: rowsFrom(start, values.length + next.length),
    lines: lines.map(({ name, values }) => ({ name, values: values.slice(start) })),
  };
}
