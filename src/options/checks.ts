/** Options that are numbers within bounds, checked. Errors name the owner, the option and the value. */
import { quoted } from "../nearest.ts";

/** Throws a RangeError unless the option is a finite number from `low` to `high`. */
export function checkRange(
  owner: string,
  option: string,
  value: unknown,
  { low = -Infinity, high = Infinity }: { readonly low?: number; readonly high?: number } = {},
): void {
  if (typeof value === "number" && Number.isFinite(value) && value >= low && value <= high) return;
  const bounds = `${low === -Infinity ? "" : ` from ${low}`}${high === Infinity ? "" : ` to ${high}`}`;
  throw new RangeError(`Cannot make ${owner}: ${option} is ${quoted(value)}, expected a number${bounds}`);
}
