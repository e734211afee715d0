/** Made-up sounds for a detector of voices, from a seeded generator: a voice, a toy that is taken for one, and a quiet room. */
import { type Random, randomFrom } from "../support/program.ts";

/** Samples a second. */
export const RATE = 16_000;

/** Resonances of a throat in hertz, for five vowels (Peterson and Barney, 1952, rounded). */
const VOWELS = [[730, 1090, 2440], [270, 2290, 3010], [530, 1840, 2480], [570, 840, 2410], [300, 870, 2240]];
const LOUDNESS = [0.5, 0.35, 0.15];

/** Makes the next sample of a sound. */
type Source = (second: number) => number;

/** A resonance of so many hertz and such a width. */
function resonance(width: number): (input: number, hertz: number) => number {
  const radius = Math.exp(-Math.PI * width / RATE);
  let [last, before] = [0, 0];
  return (input, hertz) => {
    const next = input + 2 * radius * Math.cos(2 * Math.PI * hertz / RATE) * last - radius * radius * before;
    [before, last] = [last, next];
    return next;
  };
}

/** Pulses of a pitch that moves, through resonances that change from syllable to syllable. */
function syllables(
  random: Random,
  { pitch, swing, vowels }: { pitch: number; swing: number; vowels: readonly (readonly number[])[] },
): Source {
  const throat = LOUDNESS.map((_, which) => resonance(60 + 40 * which));
  let [phase, from, until, vowel] = [0, 0, 0, vowels[0]];
  return (second) => {
    if (second >= until) {
      [from, until, vowel] = [second, second + 0.1 + 0.2 * random.uniform(), random.pick(vowels)];
    }
    const part = (second - from) / (until - from);
    phase += pitch * (1 + swing * (Math.sin(4.4 * second) + part / 2)) / RATE;
    const pulse = phase >= 1 ? 1 : 0.02 * random.normal();
    phase %= 1;
    const sum = throat.reduce((sum, resonate, k) => sum + LOUDNESS[k] * resonate(pulse, vowel[k]), 0);
    return 0.12 * sum * Math.sqrt(Math.sin(Math.PI * part));
  };
}

const SOURCES = {
  voice: (random: Random) =>
    syllables(random, { pitch: 100 + 80 * random.uniform(), swing: 0.2, vowels: VOWELS }),
  /** A toy that quacks: higher, always in one pitch. */
  toy: (random: Random) =>
    syllables(random, { pitch: 300 + 40 * random.uniform(), swing: 0, vowels: VOWELS.slice(0, 2) }),
  room: (): Source => () => 0,
};

/** What is heard. */
export type Sound = keyof typeof SOURCES;

/** All of them. */
export const SOUNDS = ["voice", "toy", "room"] as const satisfies readonly Sound[];

/** So many samples of a sound in a room that is not silent, from -1 to 1. */
export function record(sound: Sound, samples: number, seed: number): Float32Array {
  const random = randomFrom(seed);
  const source = SOURCES[sound](random);
  return Float32Array.from({ length: samples }, (_, i) => source(i / RATE) + 0.001 * random.normal());
}
