/**
 * Trains the model of the demo "Draw a digit" on MNIST, and writes what the demo ships:
 *
 *     deno run -A site/training/digit.ts FOLDER
 *
 * FOLDER has the four IDX files, plain or gzipped; without it they are downloaded. `--epochs N` (default 12) trains for
 * longer or shorter. An epoch takes some 20 seconds of a core. Key and threads are fixed: so are the weights on a machine.
 */
import { gzipSync } from "node:zlib";
import { accuracy, adam, cosineDecay, createTrainer, fit, foldIn, key } from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { loadMnist } from "../../examples/support/mnist_data.ts";
import { freshWeights, model, objective } from "../demos/digit/digit.ts";
import { accuracyOf } from "../demos/digit/training.ts";
import { type Digits, SIDE, sliceDigits, variedBatches } from "../demos/digit/digits.ts";

const PUBLIC = new URL("../public/", import.meta.url);
const BATCH_SIZE = 64;
const DEVICE = { name: "wasm", threads: 1 } as const;
/** Of the training set and of the test set: what the page trains on, and what it holds out. */
const [TRAINED, HELD_OUT] = [1600, 400];
/** Examples of each digit that the page shows, from the test set behind those held out. */
const EXAMPLES = 5;

/** Digits as gzipped IDX files: bytes with a header of big-endian sizes. */
async function writeDigits(name: string, parts: readonly Digits[]): Promise<void> {
  const count = parts.reduce((sum, { labels }) => sum + labels.shape[0], 0);
  const idx = (sizes: readonly number[], values: readonly number[]) => {
    const header = new DataView(new ArrayBuffer(4 + 4 * sizes.length));
    header.setUint32(0, 0x0800 + sizes.length); // unsigned bytes
    sizes.forEach((size, axis) => header.setUint32(4 + 4 * axis, size));
    return gzipSync(new Uint8Array([...new Uint8Array(header.buffer), ...values]), { level: 9 });
  };
  const pixels = parts.flatMap(({ images }) => Array.from(images.data, (ink) => Math.round(255 * ink)));
  const labels = parts.flatMap(({ labels }) => [...labels.data]);
  await Deno.writeFile(new URL(`data/mnist/${name}-images.idx.gz`, PUBLIC), idx([count, SIDE, SIDE], pixels));
  await Deno.writeFile(new URL(`data/mnist/${name}-labels.idx.gz`, PUBLIC), idx([count], labels));
}

/** The first examples of each digit from a place on. */
function examplesFrom(digits: Digits, start: number): Digits[] {
  const found = Array.from({ length: 10 }, (): Digits[] => []);
  for (let i = start; found.some(({ length }) => length < EXAMPLES); i++) {
    const of = found[digits.labels.data[i]];
    if (of.length < EXAMPLES) of.push(sliceDigits(digits, i, i + 1));
  }
  return found.flat();
}

const epochsAt = Deno.args.indexOf("--epochs");
const epochs = epochsAt < 0 ? 12 : Number(Deno.args[epochsAt + 1]);
const [folder] = Deno.args.filter((_, i) => epochsAt < 0 || (i !== epochsAt && i !== epochsAt + 1));
const { source, train, test } = await loadMnist({ data: folder });
if (!source.startsWith("MNIST")) {
  throw new Error(`Cannot train the model: ${source}, expected MNIST; name its folder`);
}

await Deno.mkdir(new URL("data/mnist/", PUBLIC), { recursive: true });
await Deno.mkdir(new URL("models/", PUBLIC), { recursive: true });
await writeDigits("2000", [sliceDigits(train, 0, TRAINED), sliceDigits(test, 0, HELD_OUT)]);
await writeDigits("50", examplesFrom(test, HELD_OUT));

const steps = Math.ceil(train.labels.shape[0] / BATCH_SIZE);
const learningRate = cosineDecay({ initialLearningRate: 0.004, decaySteps: epochs * steps });
const { variables } = await fit(
  model,
  freshWeights(key(0)),
  (epoch: number) => variedBatches(train, BATCH_SIZE, foldIn(key(1), epoch)),
  {
    ...objective,
    metrics: { probabilities: [accuracy()] },
    optimizer: adam({ learningRate }),
    epochs,
    device: DEVICE,
  },
);
using trainer = createTrainer(model, { device: DEVICE });
const share = await accuracyOf(trainer, variables, test);
console.log(`reads ${(100 * share).toFixed(2)} % of MNIST's ${test.labels.shape[0]} test digits`);
const metadata = {
  accuracy: String(share),
  trainedOn: "MNIST (LeCun, Cortes, Burges)",
  epochs: String(epochs),
};
await Deno.writeFile(new URL("models/digit.safetensors", PUBLIC), encodeSafetensors(variables, { metadata }));
