/** Recordings of machines that are made up, of different lengths: the data of ragged.ts. */
import { type Random, randomFrom } from "./program.ts";

/** The classes by number. */
export const CLASSES = ["sound", "worn", "loose"];

/** The steps of three sensors, and the class. */
export interface Recording {
  readonly x: number[][];
  readonly y: number;
}

/**
 * Two sensors swing, one rests, and all are noisy. In 8 of 100 machines a worn bearing damps the second for a while, in
 * 4 a loose bolt knocks in the third.
 */
function record(random: Random): Recording {
  const chance = random.uniform();
  const y = chance < 0.88 ? 0 : chance < 0.96 ? 1 : 2;
  const steps = 12 + random.below(49);
  const [phase, strength] = [2 * Math.PI * random.uniform(), 0.4 + 0.6 * random.uniform()];
  const [from, length] = [random.below(steps - 8), 8 + random.below(8)];
  const x = Array.from({ length: steps }, (_, step) => {
    const angle = phase + step * Math.PI / 4;
    const isIn = step >= from && step < from + length;
    const damped = y === 1 && isIn ? 1 - strength : 1;
    const knock = y === 2 && isIn && step % 4 === 0 ? 1.6 * strength : 0;
    return [Math.sin(angle), damped * Math.cos(angle), knock].map((value) => value + 0.25 * random.normal());
  });
  return { x, y };
}

/** So many recordings, of 12 to 60 steps. */
export function makeRecordings(count: number): Recording[] {
  const random = randomFrom(7);
  return Array.from({ length: count }, () => record(random));
}
