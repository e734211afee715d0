/** What the demo loads: its weights and its recording. */
import { init, key, spec, type Variables } from "@cellfold/cellfold";
import { decodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import { BANDS, detector, withDetector } from "./listen.ts";
import { readWav, recording, sentences } from "./recording.ts";
import type { Sound } from "./sounds.ts";

async function load(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) {
    throw new Error(`Cannot load ${address}: the server answers ${response.status}; try again`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

/** The variables of the whole model from the bytes of a safetensors file, which has those of the detector. */
export function variablesFrom(bytes: Uint8Array): Variables {
  const { params, state } = init(detector(), key(0), spec([null, null, BANDS]));
  return withDetector({ params: restoreTree(params, decodeSafetensors(bytes).tensors), state });
}

/** The variables of the whole model from a file. */
export async function loadVariables(address: string): Promise<Variables> {
  return variablesFrom(await load(address));
}

/** The recording, made from the sentences in a folder. */
export async function loadSound(folder: string): Promise<Sound> {
  const files = await Promise.all(sentences.map(({ file }) => load(folder + file)));
  return recording(files.map(readWav));
}
