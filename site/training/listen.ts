/**
 * Trains the model of the demo Listen, on sounds that are made up from seeds, and writes its weights:
 * `deno run -A site/training/listen.ts`. It prints how well it finds the reader of the recording, whom it never heard.
 */
import {
  adam,
  cosineDecay,
  fit,
  type HostTensor,
  hostTensor,
  init,
  key,
  predict,
  spec,
  type Tensor,
  toHost,
  type Variables,
} from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { BANDS, bandsLayer, BLOCK, detector } from "../demos/listen/listen.ts";
import { readWav, recording, sentences } from "../demos/listen/recording.ts";
import { scene, type Sound } from "../demos/listen/sounds.ts";

const PUBLIC = new URL("../public/", import.meta.url);
const SECONDS = 4, SCENES = 900, EPOCHS = 24, BATCH = 48;

/** The bands of sounds of one length, `[sounds, blocks, BANDS]`: they have no weights, so they are computed once. */
async function bandsOf(sounds: readonly Sound[]): Promise<Tensor> {
  const blocks = sounds[0].truth.length;
  const samples = new Float32Array(sounds.length * blocks * BLOCK);
  sounds.forEach((sound, i) => samples.set(sound.samples.subarray(0, blocks * BLOCK), i * blocks * BLOCK));
  const layer = bandsLayer();
  const x = hostTensor(samples, [sounds.length, blocks, BLOCK]);
  return await predict(layer, init(layer, key(0), x), x, { batchSize: BATCH });
}

function truthOf(sounds: readonly Sound[]): Tensor {
  const blocks = sounds[0].truth.length;
  return hostTensor(Float32Array.from(sounds.flatMap(({ truth }) => [...truth])), [sounds.length, blocks, 1]);
}

/** How many of the blocks with a voice, and of those without, are taken for a voice. */
export async function rates(
  variables: Variables,
  sound: Sound,
): Promise<{ readonly found: number; readonly mistaken: number }> {
  const { data } = await toHost(await predict(detector(), variables, await bandsOf([sound]))) as HostTensor;
  const rate = (isSpoken: number) => {
    const those = Array.from(data).filter((_, block) => sound.truth[block] === isSpoken);
    return those.filter((probability) => probability > 0.5).length / those.length;
  };
  return { found: rate(1), mistaken: rate(0) };
}

if (import.meta.main) {
  const scenes = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => scene(first + i, SECONDS));
  const [train, validation] = [scenes(1, SCENES), scenes(1_000_000, 100)];
  const data = { x: await bandsOf(train), y: truthOf(train) };
  const model = detector();
  const steps = EPOCHS * Math.ceil(SCENES / BATCH);
  const { variables } = await fit(model, init(model, key(1), spec([null, null, BANDS])), data, {
    loss: "binaryCrossentropy",
    metrics: ["accuracy"],
    optimizer: adam({ learningRate: cosineDecay({ initialLearningRate: 0.01, decaySteps: steps }) }),
    epochs: EPOCHS,
    batchSize: BATCH,
    key: key(2),
    validation: { x: await bandsOf(validation), y: truthOf(validation) },
  });
  const read = await Promise.all(
    sentences.map(({ file }) => Deno.readFile(new URL(`data/listen/${file}`, PUBLIC))),
  );
  console.log("The recording:", await rates(variables, recording(read.map(readWav))));
  await Deno.mkdir(new URL("models/", PUBLIC), { recursive: true });
  await Deno.writeFile(
    new URL("models/listen.safetensors", PUBLIC),
    encodeSafetensors(await toHost(variables.params)),
  );
}
