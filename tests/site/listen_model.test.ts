/** The model of the demo "Listen" without a page: it finds the reader of the recording, block by block and all at once. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { type HostTensor, hostTensor, init, key, predict, toHost } from "@cellfold/cellfold";
import { BANDS, BLOCK, listener, open, RATE, sound } from "../../site/demos/listen/listen.ts";
import { variablesFrom } from "../../site/demos/listen/load.ts";
import { readWav, recording, sentences } from "../../site/demos/listen/recording.ts";
import { random, scene, truthOf, voice } from "../../site/demos/listen/sounds.ts";

const PUBLIC = new URL("../../site/public/", import.meta.url);

const mayRead = Deno.permissions.querySync({ name: "read", path: PUBLIC.pathname }).state === "granted";

/** The recording, and the weights that ship. */
async function shipped() {
  const read = (path: string) => Deno.readFile(new URL(path, PUBLIC));
  const files = await Promise.all(sentences.map(({ file }) => read(`data/listen/${file}`)));
  return {
    sound: recording(files.map(readWav)),
    variables: variablesFrom(await read("models/listen.safetensors")),
  };
}

Deno.test({
  name: "listen: the reader is found where somebody reads and not elsewhere, by steps as by predict",
  ignore: !mayRead,
  async fn() {
    const { sound: { samples, truth }, variables } = await shipped();
    const { stream, output } = await open(variables);
    using _ = stream;
    const [voices, bands] = [new Float32Array(truth.length), new Float32Array(truth.length * BANDS)];
    for (let block = 0; block < truth.length; block++) {
      stream.step(samples.subarray(block * BLOCK, (block + 1) * BLOCK), output);
      voices[block] = output.voice[0];
      bands.set(output.bands, block * BANDS);
    }
    const share = (isSpoken: number) => {
      const those = voices.filter((_, block) => truth[block] === isSpoken);
      return those.filter((probability) => probability > 0.5).length / those.length;
    };
    assert(share(1) > 0.85, `of the blocks with a voice, ${share(1)} are found`);
    assert(share(0) < 0.15, `of the blocks without, ${share(0)} are taken for one`);

    const whole = hostTensor(samples.subarray(0, truth.length * BLOCK), [1, truth.length, BLOCK]);
    const all = await toHost(await predict(listener(), variables, whole, { device: "wasm" })) as Record<
      "voice" | "bands",
      HostTensor
    >;
    // Both sum in float32, in other orders.
    all.bands.data.forEach((value, i) => assertAlmostEquals(bands[i], value, 1e-3));
    all.voice.data.forEach((value, i) => assertAlmostEquals(voices[i], value, 1e-3));
  },
});

Deno.test({
  name: "listen: voices that are made up, and that training did not use, are found as well",
  ignore: !mayRead,
  async fn() {
    const { variables } = await shipped();
    const { stream, output } = await open(variables);
    using _ = stream;
    let [right, all] = [0, 0];
    for (let seed = 2_000_000; seed < 2_000_008; seed++) {
      const { samples, truth } = scene(seed, 4);
      stream.reset();
      truth.forEach((value, block) => {
        stream.step(samples.subarray(block * BLOCK, (block + 1) * BLOCK), output);
        right += Number(output.voice[0] > 0.5 === value > 0);
        all++;
      });
    }
    assert(right / all > 0.85, `right in ${right / all} of the blocks`);
  },
});

Deno.test("listen: a tone is in the band of its frequency", async () => {
  const { stream, output } = await open(init(listener(), key(0), sound));
  using _ = stream;
  const loudest = (hertz: number) => {
    stream.reset();
    for (let block = 0; block < 4; block++) {
      const tone = Float32Array.from(
        { length: BLOCK },
        (_, i) => Math.sin(2 * Math.PI * hertz * (block * BLOCK + i) / RATE),
      );
      stream.step(tone, output);
    }
    return output.bands.indexOf(Math.max(...output.bands));
  };
  // On the mel scale 80 Hz are 121, 1000 Hz are 1000 and 6000 Hz are 2545: 1000 Hz are at 0.36 of the 33 distances.
  assertEquals(loudest(1000), 11);
  assert(loudest(300) < 5 && loudest(4000) > 24);
});

Deno.test("listen: sounds are the same for a seed, and truth is by blocks", () => {
  assertEquals(scene(3, 1).samples, scene(3, 1).samples);
  const { samples, truth } = voice(3, random(5));
  assertEquals(truth.length, Math.floor(samples.length / BLOCK));
  assert(truth.includes(1) && truth.includes(0));
  assertEquals([...truthOf(4 * BLOCK, [[BLOCK, 3 * BLOCK]])], [0, 1, 1, 0]);
});

Deno.test("listen: a WAV file of another kind is refused by what it is", () => {
  const header = new Uint8Array(44);
  const view = new DataView(header.buffer);
  view.setUint16(22, 2, true);
  view.setUint32(24, 44_100, true);
  view.setUint16(34, 16, true);
  assertThrows(
    () => readWav(header),
    TypeError,
    "2 channels of 44100 Hz and 16 bits, expected 1 of 16000 Hz",
  );
});
