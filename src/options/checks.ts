/** Checks options that are numbers within bounds. Errors name the owner, the option and the value. */
import { quoted } from "../quoted.ts";

/** The range of a number: `low` or more (or above `above`), and `high` or less (or below `below`). */
interface Bounds {
  readonly low?: number;
  readonly above?: number;
  readonly high?: number;
  readonly below?: number;
}

/** Throws a RangeError unless the option is a finite number within the bounds. */
export function checkRange(owner: string, option: string, value: unknown, bounds: Bounds = {}): void {
  const { low = -Infinity, above = -Infinity, high = Infinity, below = Infinity } = bounds;
  const isWithin = typeof value === "number" && Number.isFinite(value) &&
    value >= low && value > above && value <= high && value < below;
  if (isWithin) return;
  const from = bounds.low === undefined
    ? bounds.above === undefined ? "" : ` above ${above}`
    : ` from ${low}`;
  const to = bounds.high === undefined
    ? bounds.below === undefined ? "" : ` to below ${below}`
    : ` to ${high}`;
  throw new RangeError(`Cannot make ${owner}: ${option} is ${quoted(value)}, expected a number${from}${to}`);
}
