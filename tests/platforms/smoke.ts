/**
 * What every platform runs: the guide's model trained for a few steps on data drawn from explicit keys. It imports
 * types only and is handed the library, so that the bundle under test is the one that users get.
 */
import type * as library from "../../mod.ts";

/** The library, as source or as bundle. */
export type Library = typeof library;

const BATCH = 64;
const BATCHES = 5;
const STEPS = 50;

/** The devices that are tried, by name. */
export const devices = {
  "default": "wasm",
  "one thread": { name: "wasm", threads: 1 },
  "two threads": { name: "wasm", threads: 2 },
  "plain SIMD": { name: "wasm", relaxed: false },
  "webgpu": "webgpu",
} as const satisfies Record<string, library.Device>;

/** Losses by device, one per step. */
export type Losses = { readonly [device in DeviceName]?: readonly number[] };

/** The name of a device to try. */
export type DeviceName = keyof typeof devices;

/** The devices that every platform has. */
export const everywhere: readonly DeviceName[] = ["default", "one thread", "two threads", "plain SIMD"];

/** Trains once per device, by default on those that every platform has, from the same beginning. */
export async function smoke(
  cellfold: Library,
  names: readonly DeviceName[] = everywhere,
): Promise<Losses> {
  const losses: { [device in DeviceName]?: readonly number[] } = {};
  for (const name of names) losses[name] = await train(cellfold, devices[name]);
  return losses;
}

async function train(cellfold: Library, device: library.Device): Promise<number[]> {
  const { batchNormalization, createTrainer, dense, init, key, lstm, sequential, sgd, spec, splitKey } =
    cellfold;
  const { sparseCategoricalCrossentropy } = cellfold;
  const model = sequential([lstm({ units: 64 }), batchNormalization(), dense({ units: 10 })]);
  const [forVariables, ...forBatches] = splitKey(key(28), 1 + BATCHES);
  const batches = forBatches.map((batchKey) => drawBatch(cellfold, batchKey));
  const trainer = createTrainer(model, {
    loss: sparseCategoricalCrossentropy({ fromLogits: true }),
    optimizer: sgd({ learningRate: 0.01 }),
    device,
  });
  try {
    const losses: number[] = [];
    let state: library.TrainingState = { variables: init(model, forVariables, spec([null, 28, 28])) };
    for (let step = 0; step < STEPS; step++) {
      const trained = await trainer.trainOnBatch(state, batches[step % BATCHES]);
      losses.push(trained.logs.loss);
      state = trained;
    }
    return losses;
  } finally {
    trainer[Symbol.dispose]();
  }
}

/** Images of noise, labelled by the brightest of their first ten columns, so that there is something to learn. */
function drawBatch({ argmax, mean, slice, uniform }: Library, key: library.Tensor): library.Data {
  const x = uniform(key, [BATCH, 28, 28]);
  return { x, y: argmax(slice(mean(x, { axes: 1 }), { start: [0, 0], size: [BATCH, 10] })) };
}
