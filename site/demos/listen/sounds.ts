/**
 * Sounds made up from a seed: voices that say nothing (a source and formants, in syllables with pauses), and what is no
 * voice: noise, hum, clicks, beeps and notes. The model was trained on these, and never on a recording.
 */
import { BLOCK, RATE } from "./listen.ts";

/** Samples at `RATE`, and for each block whether a voice is in it: 1 or 0. */
export interface Sound {
  readonly samples: Float32Array<ArrayBuffer>;
  readonly truth: Float32Array<ArrayBuffer>;
}

/** Random numbers from a seed: the same everywhere. */
export interface Random {
  /** Even between the two. */
  between(low: number, high: number): number;
  /** Whether something with this probability happens. */
  happens(probability: number): boolean;
  pick<T>(all: readonly T[]): T;
}

/** A generator of random numbers (xorshift32; Marsaglia, 2003). */
export function random(seed: number): Random {
  let word = Math.imul(seed + 1, 0x9e3779b1) | 1;
  const next = () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return (word >>> 8) / 2 ** 24;
  };
  for (let i = 0; i < 8; i++) next();
  return {
    between: (low, high) => low + (high - low) * next(),
    happens: (probability) => next() < probability,
    pick: (all) => all[Math.floor(all.length * next())],
  };
}

/** The first three formants of vowels in hertz (Peterson and Barney, 1952), with a fourth that all have. */
const VOWELS = [
  [730, 1090, 2440, 3500],
  [270, 2290, 3010, 3500],
  [300, 870, 2240, 3500],
  [530, 1840, 2480, 3500],
  [570, 840, 2410, 3500],
  [660, 1720, 2410, 3500],
  [490, 1350, 1690, 3500],
];
const WIDTHS = [70, 100, 140, 250];

/** Two poles at a frequency, with a gain of 1 at 0 Hz (Klatt, 1980). */
function resonator() {
  let [a, b, c, last, older] = [1, 0, 0, 0, 0];
  return {
    tune(hertz: number, width: number) {
      const radius = Math.exp(-Math.PI * width / RATE);
      c = -radius * radius;
      b = 2 * radius * Math.cos(2 * Math.PI * hertz / RATE);
      a = 1 - b - c;
    },
    filter(x: number): number {
      const y = a * x + b * last + c * older;
      older = last;
      return last = y;
    },
  };
}

/** Rises in the first `attack` seconds and falls in the last `release`. */
const envelope = (t: number, seconds: number, attack: number, release: number) =>
  Math.max(0, Math.min(1, t / attack, (seconds - t) / release));

/** Adds a phrase of a speaker from a place on, and returns where it ends. */
function phrase(
  into: Float32Array,
  from: number,
  rng: Random,
  speaker: { pitch: number; size: number },
): number {
  const formants = WIDTHS.map(resonator);
  const hiss = resonator();
  const noise = () => rng.between(-1, 1);
  let [at, cycle, tilted, phase] = [from, 0, 0, 0];
  let vowel = rng.pick(VOWELS);
  const syllables = Math.round(rng.between(2, 9));
  const breath = rng.between(0.01, 0.06);
  const tilt = rng.between(0.85, 0.97);
  for (let i = 0; i < syllables; i++) {
    if (rng.happens(0.35)) { // a fricative, or the burst of a stop
      const [seconds, loud] = rng.happens(0.5)
        ? [rng.between(0.05, 0.13), rng.between(0.2, 0.8)]
        : [rng.between(0.01, 0.03), 0.8];
      hiss.tune(rng.between(2500, 6000), 1200);
      for (let t = 0; t < seconds && at < into.length; t += 1 / RATE, at++) {
        into[at] += loud * 0.6 * envelope(t, seconds, 0.01, 0.02) * hiss.filter(noise());
      }
    }
    const next = rng.pick(VOWELS);
    const seconds = rng.between(0.1, 0.32);
    const loud = rng.between(0.15, 1);
    const accent = rng.between(-0.12, 0.15);
    for (let t = 0; t < seconds && at < into.length; t += 1 / RATE, at++) {
      if (cycle++ % 64 === 0) {
        const glide = Math.min(1, t / 0.08);
        formants.forEach((formant, j) =>
          formant.tune((vowel[j] + glide * (next[j] - vowel[j])) * speaker.size, WIDTHS[j])
        );
      }
      const pitch = speaker.pitch * (1.1 - 0.2 * i / syllables + accent * Math.sin(Math.PI * t / seconds));
      phase += pitch / RATE * (1 + 0.03 * noise());
      const pulse = (phase >= 1 ? RATE / pitch : 0) - 1; // 0 on average
      if (phase >= 1) phase -= 1;
      tilted = tilt * tilted + (1 - tilt) * (pulse + breath * 30 * noise());
      const shaped = formants.reduce((x, formant) => formant.filter(x), tilted);
      into[at] += 0.25 * loud * envelope(t, seconds, 0.025, 0.05) * shaped;
    }
    vowel = next;
    if (rng.happens(0.4)) at += Math.round(rng.between(0.02, 0.16) * RATE); // the closure of a stop
  }
  return Math.min(at, into.length);
}

/** How long a phrase counts as spoken after its end, in seconds: nobody knows at once that it is over. */
const REST = 0.08;

/** A voice: phrases with pauses between them. */
export function voice(seconds: number, rng: Random): Sound {
  const samples = new Float32Array(seconds * RATE);
  const spoken: (readonly [number, number])[] = [];
  const pitch = Math.exp(rng.between(Math.log(80), Math.log(270)));
  const speaker = { pitch, size: 0.9 + 0.25 * (pitch - 80) / 190 + rng.between(-0.06, 0.06) };
  let at = Math.round(rng.between(0, 1.2) * RATE);
  while (at < samples.length) {
    const end = phrase(samples, at, rng, speaker);
    spoken.push([at, end + REST * RATE]);
    at = end + Math.round(rng.between(0.3, 1.6) * RATE);
  }
  return { samples, truth: truthOf(samples.length, spoken) };
}

/** For each block, 1 where at least half of it is within one of the spans, which are in samples. */
export function truthOf(
  samples: number,
  spans: readonly (readonly [from: number, to: number])[],
): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: Math.floor(samples / BLOCK) }, (_, block) => {
    const middle = (block + 0.5) * BLOCK;
    return spans.some(([from, to]) => from <= middle && middle < to) ? 1 : 0;
  });
}

/** What is no voice, each for a number of seconds. */
export const backgrounds = {
  /** Noise that falls by 0, 3 to 6 dB an octave. */
  noise(seconds: number, rng: Random) {
    const slope = rng.between(0, 0.98);
    let low = 0;
    return filled(seconds, () => {
      const white = rng.between(-1, 1);
      low = slope * low + (1 - slope) * white;
      return 0.3 * white + 2 * low;
    });
  },
  /** Noise in bands that swells as wind and rustling do, at the rate of syllables. */
  gusts(seconds: number, rng: Random) {
    const band = resonator();
    band.tune(rng.between(200, 5000), rng.between(300, 2000));
    const [rate, turn] = [rng.between(1, 6), rng.between(0, 6)];
    return filled(
      seconds,
      (t) =>
        (0.1 + Math.max(0, Math.sin(2 * Math.PI * rate * t + turn)) ** 2) * band.filter(rng.between(-1, 1)),
    );
  },
  /** A hum of the mains with its overtones. */
  hum(seconds: number, rng: Random) {
    const hertz = rng.pick([50, 60, 100, 120]) * rng.between(0.995, 1.005);
    const loud = Array.from({ length: 12 }, (_, i) => rng.between(0, 1) / (i + 1));
    return filled(
      seconds,
      (t) => loud.reduce((sum, a, i) => sum + a * Math.sin(2 * Math.PI * hertz * (i + 1) * t), 0),
    );
  },
  /** Keys, steps and knocks. */
  clicks(seconds: number, rng: Random) {
    const samples = new Float32Array(seconds * RATE);
    for (let at = 0; at < samples.length; at += Math.round(rng.between(0.05, 0.6) * RATE)) {
      const body = resonator();
      body.tune(rng.between(150, 5000), rng.between(60, 1500));
      const [loud, fall] = [rng.between(0.3, 1), rng.between(0.003, 0.03)];
      for (let i = 0; i < 0.12 * RATE && at + i < samples.length; i++) {
        const t = i / RATE;
        samples[at + i] += loud * Math.exp(-t / fall) *
          (rng.between(-1, 1) * 0.3 + 3 * body.filter(i < 8 ? 1 : 0));
      }
    }
    return samples;
  },
  /** Beeps and sirens. */
  beeps(seconds: number, rng: Random) {
    const samples = new Float32Array(seconds * RATE);
    for (let at = 0; at < samples.length;) {
      const [length, hertz, sweep] = [
        rng.between(0.08, 0.8),
        rng.between(200, 4000),
        rng.happens(0.3) ? rng.between(-0.5, 1) : 0,
      ];
      let angle = 0;
      for (let i = 0; i < length * RATE && at < samples.length; i++, at++) {
        angle += 2 * Math.PI * hertz * (1 + sweep * i / (length * RATE)) / RATE;
        samples[at] = envelope(i / RATE, length, 0.01, 0.02) * Math.sin(angle);
      }
      at += Math.round(rng.between(0.02, 0.6) * RATE);
    }
    return samples;
  },
  /** Notes of plucked strings and pipes, one or three at a time: overtones of a pitch that stays. */
  notes(seconds: number, rng: Random) {
    const samples = new Float32Array(seconds * RATE);
    for (let at = 0; at < samples.length; at += Math.round(rng.between(0.12, 0.5) * RATE)) {
      const [fall, rise, overtones] = [
        rng.between(0.1, 0.8),
        rng.between(0.003, 0.06),
        Math.round(rng.between(3, 14)),
      ];
      const decay = Math.exp(-1 / (fall * RATE));
      const root = 110 * 2 ** (Math.round(rng.between(0, 36)) / 12);
      for (const interval of rng.happens(0.4) ? [0, 4, 7] : [0]) {
        const hertz = root * 2 ** (interval / 12);
        for (let k = 1; k <= overtones && k * hertz < 7000; k++) {
          const loud = rng.between(0.3, 1) / k;
          const angle = 2 * Math.PI * hertz * k / RATE;
          // A sine by its recurrence, which takes no function.
          const turn = 2 * Math.cos(angle);
          for (
            let i = 0, now = 0, before = -Math.sin(angle), gain = loud;
            i < 2.5 * fall * RATE && at + i < samples.length;
            i++
          ) {
            samples[at + i] += Math.min(1, i / (rise * RATE)) * gain * now;
            [before, now] = [now, turn * now - before];
            gain *= decay;
          }
        }
      }
    }
    return samples;
  },
} as const;

function filled(seconds: number, at: (t: number) => number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: seconds * RATE }, (_, i) => at(i / RATE));
}

/** The root of the mean square, of what is loud enough to count. */
function level(samples: Float32Array): number {
  const loud = samples.filter((sample) => Math.abs(sample) > 1e-4);
  return Math.sqrt(loud.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, loud.length));
}

/** Adds a sound to others so that its level is so many decibels (0 is a full sine wave's peak). */
export function mix(into: Float32Array, samples: Float32Array, decibels: number, from = 0): void {
  const gain = 10 ** (decibels / 20) / Math.max(1e-6, level(samples));
  for (let i = 0; i < samples.length && from + i < into.length; i++) into[from + i] += gain * samples[i];
}

/** A sound for training: a voice, in most of them, and one to three kinds of what is none, of any loudness. */
export function scene(seed: number, seconds: number): Sound {
  const rng = random(seed);
  const samples = new Float32Array(seconds * RATE);
  const spoken = rng.happens(0.8) ? voice(seconds, rng) : undefined;
  const loudness = rng.between(-45, -12);
  if (spoken) mix(samples, spoken.samples, loudness);
  const kinds = Object.values(backgrounds);
  const others = Math.round(rng.between(0.6, 3.4));
  for (let i = 0; i < others; i++) {
    const [from, length] = rng.happens(0.5)
      ? [0, seconds]
      : [rng.between(0, seconds / 2), rng.between(0.5, seconds)];
    const other = rng.pick(kinds)(Math.min(length, seconds - from), rng);
    mix(samples, other, loudness - rng.between(spoken ? 3 : -8, 35), Math.round(from * RATE));
  }
  for (let i = 0; i < samples.length; i++) {
    samples[i] = Math.max(-1, Math.min(1, samples[i] + rng.between(-3e-5, 3e-5)));
  }
  return { samples, truth: spoken?.truth ?? new Float32Array(Math.floor(samples.length / BLOCK)) };
}
