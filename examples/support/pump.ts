/** The pressure of a pump, 50 samples a second, with and without faults: the data of anomalies.ts, made up. */
import { randomFrom } from "./program.ts";

/** A stretch in which something is wrong. */
export interface Fault {
  readonly kind: string;
  /** The samples from its first to before its last. */
  readonly from: number;
  readonly to: number;
}

/** What is wrong in a fault: the pressure at a sample from what it would be, and the one before. */
const FAULTS: Readonly<Record<string, (pressure: number, before: number, sample: number) => number>> = {
  "the sensor hangs": (_, before) => before,
  "a valve closes late": (pressure) => Math.max(pressure, -0.35),
  "the pump cavitates": (pressure, _, sample) => pressure + 0.3 * Math.sin(2.2 * sample),
  "a weak stroke": (pressure) => 0.55 * pressure,
};

/**
 * The pressure at so many samples: a stroke in about a second, whose speed and strength wander, and noise. With
 * `faults`, one of four kinds lasts for a second about every 20 seconds; each stays within the range of a sound pump.
 */
export function makePressure(
  samples: number,
  options: { readonly seed: number; readonly faults?: boolean },
): { readonly values: Float32Array; readonly faults: readonly Fault[] } {
  const random = randomFrom(options.seed);
  const kinds = Object.keys(FAULTS);
  const values = new Float32Array(samples);
  const faults: Fault[] = [];
  let [angle, speed, strength] = [0, 1, 1];
  for (let sample = 0; sample < samples; sample++) {
    speed += 0.02 * (1 - speed) + 0.006 * random.normal();
    strength += 0.02 * (1 - strength) + 0.006 * random.normal();
    angle += 2 * Math.PI * speed / 50;
    const pressure = strength * (0.8 * Math.sin(angle) + 0.3 * Math.sin(2 * angle + 1)) +
      0.02 * random.normal();
    if (options.faults && sample % 1000 === 500) {
      const from = sample + random.below(300);
      faults.push({ kind: kinds[faults.length % kinds.length], from, to: from + 50 });
    }
    const fault = faults.at(-1);
    const isWrong = fault !== undefined && sample >= fault.from && sample < fault.to;
    values[sample] = isWrong ? FAULTS[fault.kind](pressure, values[sample - 1], sample) : pressure;
  }
  return { values, faults };
}
