/** Alarms where a score is above its limit, and the faults that they find. */
import type { Fault } from "./pump.ts";

/** Alarms that follow another one within so many samples, 2 s, belong to it. */
const QUIET = 100;

/** The first samples of all alarms. */
export function alarmsOf(surprise: ArrayLike<number>, limit: number): number[] {
  const alarms: number[] = [];
  let last = -Infinity;
  Array.from(surprise).forEach((value, sample) => {
    if (value <= limit) return;
    if (sample - last > QUIET) alarms.push(sample);
    last = sample;
  });
  return alarms;
}

/** An alarm finds a fault while it lasts, or in the half second after it. */
export const finds = (alarm: number, { from, to }: Fault) => alarm >= from && alarm < to + 25;
