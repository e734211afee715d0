/** Noisy rhythms in files: the data of files.ts, made up. */
import { hostTensor } from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { randomFrom } from "./program.ts";

/** The classes: how many steps a beat has. */
const RHYTHMS = [4, 6, 9, 14];

/** The shape of the recordings in a file. */
export interface RhythmShape {
  readonly samples: number;
  readonly steps: number;
  readonly channels: number;
}

/**
 * Recordings, and which rhythm each has: a wave in all channels, in each with a phase of its own, under noise of one and a half times
 * its height.
 */
export function makeRhythms({ samples, steps, channels }: RhythmShape, seed: number) {
  const random = randomFrom(seed);
  const [x, y] = [new Float32Array(samples * steps * channels), new Int32Array(samples)];
  for (let sample = 0, at = 0; sample < samples; sample++) {
    y[sample] = random.below(RHYTHMS.length);
    const phases = Array.from({ length: channels }, () => 2 * Math.PI * random.uniform());
    const speed = 2 * Math.PI / RHYTHMS[y[sample]];
    for (let step = 0; step < steps; step++) {
      for (let channel = 0; channel < channels; channel++, at++) {
        x[at] = Math.sin(speed * step + phases[channel]) + 3 * (random.uniform() - 0.5);
      }
    }
  }
  return { x: hostTensor(x, [samples, steps, channels]), y: hostTensor(y, [samples]) };
}

/** Writes so many files of recordings to a folder; gives their paths. */
export async function writeRhythms(folder: string, count: number, shape: RhythmShape): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, index) => `${folder}/part-${index}.safetensors`);
  for (const [index, path] of paths.entries()) {
    await Deno.writeFile(path, encodeSafetensors(makeRhythms(shape, index)));
  }
  return paths;
}
