/**
 * The recording of the demo: two sentences that somebody read, with made-up sounds before, between and below them. When
 * the reader speaks is known, so that one can see whether the model finds it.
 */
import { RATE } from "./listen.ts";
import { backgrounds, mix, random, type Sound, truthOf } from "./sounds.ts";

/** The sentences, below `public/data/listen`, with the seconds at which the reader begins and ends in each. */
export const sentences = [
  { file: "young-man.wav", spoken: [0.21, 2.74] },
  { file: "amiable.wav", spoken: [0.23, 3.04] },
] as const;

/** Seconds at which each sentence begins in the recording, and how long that is. */
const PLACES = [1.5, 7.2], SECONDS = 13;

/** The samples of a WAV file of 16 bits, one channel and `RATE`. */
export function readWav(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [channels, rate, bits] = [
    view.getUint16(22, true),
    view.getUint32(24, true),
    view.getUint16(34, true),
  ];
  if (channels !== 1 || rate !== RATE || bits !== 16) {
    throw new TypeError(
      `Cannot read the sound: ${channels} channels of ${rate} Hz and ${bits} bits, expected 1 of ${RATE} Hz and 16 bits; convert it`,
    );
  }
  return Float32Array.from(
    { length: (bytes.length - 44) >> 1 },
    (_, i) => view.getInt16(44 + 2 * i, true) / 32768,
  );
}

/** Makes the recording from the samples of the sentences, in their order. */
export function recording(read: readonly Float32Array[]): Sound {
  const rng = random(2026);
  const samples = new Float32Array(SECONDS * RATE);
  const spans = sentences.map(({ spoken }, i) =>
    spoken.map((second) => Math.round((PLACES[i] + second) * RATE))
  );
  read.forEach((sentence, i) => mix(samples, sentence, -24, Math.round(PLACES[i] * RATE)));
  const add = (kind: keyof typeof backgrounds, from: number, seconds: number, decibels: number) =>
    mix(samples, backgrounds[kind](seconds, rng), decibels, Math.round(from * RATE));
  add("noise", 0, SECONDS, -58);
  add("hum", 0, SECONDS, -60);
  add("notes", 4.6, 1.3, -27);
  add("clicks", 6, 1.2, -30);
  add("gusts", 7, 5.8, -44);
  add("beeps", 10.7, 1, -30);
  add("noise", 11.8, 1.2, -32);
  return { samples, truth: truthOf(samples.length, spans.map(([from, to]) => [from, to])) };
}
