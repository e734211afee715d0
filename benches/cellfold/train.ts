/**
 * A training step as `fit` runs it: a batch copied from shuffled data, and losses read back every few steps.
 */
import {
  batches,
  createTrainer,
  type Data,
  init,
  key,
  type Layer,
  type OptimizerState,
  shuffledOrder,
  splitKey,
  toHost,
  type Variables,
} from "@cellfold/cellfold";
import { sampleCount, type TrainerOptions } from "@cellfold/cellfold/internal";
import { createLossGuard } from "../../src/training/non_finite.ts";
import { disposeTree } from "../../src/training/dispose.ts";
import { RUN_MILLISECONDS, timed, type Trial } from "../support/messages.ts";

/**
 * The steps of an epoch: as many as `fit` runs between two readings of the losses, so that an epoch has one
 * reading.
 */
export const STEPS = 16;

/** How a model is trained, and the batch size. */
export interface TrainOptions extends TrainerOptions {
  readonly batchSize: number;
  /** How many runs precede the first; default 3. */
  readonly warmUps?: number;
}

/** A trial whose runs iterate over all of `data` as often as a timed run needs. */
export async function trainTrial(model: Layer, data: Data, options: TrainOptions): Promise<Trial> {
  const { batchSize, warmUps = 3, ...trainerOptions } = options;
  const trainer = createTrainer(model, trainerOptions);
  const variables = init(model, key(0), data.x);
  const session = trainer.session("fit", variables, data);
  const { objective } = session;
  const train = session.train();
  const [shuffleKey, dropoutKey] = splitKey(key(0), 2);
  const samples = sampleCount(data);
  const order = shuffledOrder(shuffleKey, samples);
  let { params, state }: Variables = await toHost(variables);
  let optimizerState: OptimizerState = await toHost(trainer.initOptimizer(variables));
  let metrics = objective.initState();
  const guard = createLossGuard(model, variables, {});
  let step = 0;
  const epoch = async () => {
    for (const batch of batches(data, { batchSize, order, reuse: true })) {
      const result = await train(
        params,
        state,
        optimizerState,
        metrics,
        dropoutKey,
        batch,
      );
      params = result[0];
      state = result[1];
      optimizerState = result[2];
      metrics = result[3];
      guard.record(result[4], { epoch: 0, step });
      step++;
      if (guard.isDue) await guard.check({ params, state });
    }
  };
  let best = Infinity;
  for (let run = 0; run < warmUps; run++) best = Math.min(best, await timed(1, epoch));
  const steps = Math.ceil(samples / batchSize);
  const epochs = Math.max(1, Math.round(RUN_MILLISECONDS / best));
  return {
    run: async () => ({ time: await timed(epochs, epoch) / steps }),
    [Symbol.dispose]: () => {
      disposeTree([params, state, optimizerState, metrics]);
      trainer[Symbol.dispose]();
    },
  };
}
