/** Dates as people write them, and as ISO 8601 does: the data of attention.ts, made up. */
import { type Random, randomFrom } from "../support/program.ts";

/** A date as it is written, and as it is meant. */
export interface WrittenDate {
  readonly source: string;
  readonly target: string;
  /** Whether it could be another date as well. */
  readonly isAmbiguous: boolean;
}

const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function makeDate(random: Random): WrittenDate {
  const [year, month, day] = [1930 + random.below(100), 1 + random.below(12), 1 + random.below(28)];
  const two = (value: number) => String(value).padStart(2, "0");
  const target = `${year}-${two(month)}-${two(day)}`;
  const name = random.uniform() < 0.5 ? MONTHS[month - 1] : MONTHS[month - 1].slice(0, 3);
  // Two in three write the day first.
  const slashed = random.uniform() < 0.67 ? `${day}/${month}/${year}` : `${month}/${day}/${year}`;
  const source = random.pick([
    `${day} ${name} ${year}`,
    `${name} ${day}, ${year}`,
    `${random.pick(WEEKDAYS)} ${day} ${name} ${year}`,
    `${two(day)}.${two(month)}.${year}`,
    slashed,
    slashed,
  ]);
  return { source, target, isAmbiguous: source === slashed && day <= 12 && day !== month };
}

/** So many dates from a seed. */
export function makeDates(count: number, seed: number): WrittenDate[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => makeDate(random));
}
