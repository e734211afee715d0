/** What the detector is trained on: recordings with labels, a sound and then another in each. */
import * as cf from "@cellfold/cellfold";
import { FRAME, framesOf, HOP } from "./detector.ts";
import { record, type Sound, SOUNDS } from "./sounds.ts";

/** So many frames of each sound, one sound after another. */
export function soundOf(sounds: readonly Sound[], frames: number, seed: number): Float32Array {
  const samples = new Float32Array(sounds.length * frames * HOP);
  sounds.forEach((sound, i) => samples.set(record(sound, frames * HOP, seed + i), i * frames * HOP));
  return samples;
}

/** Recordings of two sounds, `[count, frames, 576]`, and whether each frame has a voice, `[count, frames, 1]`. */
export function makeRecordings(count: number, frames: number) {
  const x = new Float32Array(count * frames * FRAME);
  const y = new Float32Array(count * frames);
  for (let which = 0; which < count; which++) {
    const pair = [SOUNDS[which % 3], SOUNDS[(which + 1 + Math.floor(which / 3) % 2) % 3]]; // all pairs in turn
    framesOf(soundOf(pair, frames / 2, 100 + 2 * which)).forEach((frame, i) => {
      x.set(frame, (which * frames + i) * FRAME);
      y[which * frames + i] = pair[Math.floor(2 * i / frames)] === "voice" ? 1 : 0;
    });
  }
  return {
    x: cf.tensor(x, { shape: [count, frames, FRAME] }),
    y: cf.tensor(y, { shape: [count, frames, 1] }),
  };
}
