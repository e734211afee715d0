/** The adding problem (Hochreiter and Schmidhuber, 1997), made up: the data of this example. */
import * as cf from "@cellfold/cellfold";
import { randomFrom } from "../support/program.ts";

/** Sequences of a number and a mark at each step; the sum of the two that are marked. */
export function makeSums(
  samples: number,
  steps: number,
  seed: number,
): { x: cf.HostTensor; y: cf.HostTensor } {
  const random = randomFrom(seed);
  const [x, y] = [new Float32Array(samples * steps * 2), new Float32Array(samples)];
  for (let sample = 0; sample < samples; sample++) {
    const marked = [random.below(steps / 2), steps / 2 + random.below(steps / 2)];
    for (let step = 0; step < steps; step++) {
      const number = random.uniform();
      x.set([number, marked.includes(step) ? 1 : 0], 2 * (sample * steps + step));
      if (marked.includes(step)) y[sample] += number;
    }
  }
  return { x: cf.hostTensor(x, [samples, steps, 2]), y: cf.hostTensor(y, [samples, 1]) };
}
