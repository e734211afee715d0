/** What happens to training when its device fails, or the iterable that gives its batches. */
import { DeviceLost, DeviceOutOfMemory } from "../transforms/devices.ts";
import { toHost } from "../tree/to_host.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { allFinite } from "./checks.ts";
import { BatchError } from "./batch_error.ts";
import { goingOnText, type History, type StepPlace } from "./non_finite.ts";
import type { OptimizerState } from "./optimizers.ts";
import { trainableParams } from "./step.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Weights on the host, with what is needed to continue from them. */
export interface TrainingSnapshot {
  /** The weights and state. */
  readonly variables: Variables;
  /** The optimizer's state at the same step. */
  readonly optimizerState: OptimizerState;
  /** The position of training: the epoch, and its completed steps. */
  readonly place: StepPlace;
}

/**
 * Thrown by `fit` when its device fails after at least one step: a GPU that was reset, unplugged or taken by
 * another process, a kernel that failed on a thread, or memory that cannot be allocated. Progress is not
 * lost: `fit` can continue from `variables` and `optimizerState`, on the same device or another. They are
 * those after the last step if the device can still be read, as `wasm` can, and otherwise those that were
 * read last: 16 steps earlier, or a hundred times as long ago as a reading takes.
 */
export class DeviceLostError extends Error {
  /** The name of the class. */
  override readonly name = "DeviceLostError";
  /** The weights and state as last read from the device, on the host. */
  readonly variables: Variables;
  /** The optimizer's state at the same step, on the host. */
  readonly optimizerState: OptimizerState;
  /** The epoch of `variables`, from 0. */
  readonly epoch: number;
  /** How many steps of that epoch are included in `variables`. */
  readonly step: number;
  /** The epochs that were completed. */
  readonly history: History;

  /** Made by `fit`. */
  constructor(cause: Error, { variables, optimizerState, place }: TrainingSnapshot, history: History) {
    super(
      `Cannot go on training: ${cause.message}. ${goingOnText(place)}, on this device or on another`,
      { cause },
    );
    this.variables = variables;
    this.optimizerState = optimizerState;
    this.epoch = place.epoch;
    this.step = place.step;
    this.history = history;
  }
}

/** Reading takes at most one part in this many of the training time. */
const SHARE_OF_READING = 100;

/** Keeps copies of what a failing device would lose. */
export interface Rescue {
  /** Called after a step whose loss was read: reads `live` if the last reading was long ago. */
  keep(live: TrainingSnapshot): Promise<void>;
  /** The error that `fit` throws for an error in its steps; the last successful step produced `live`. */
  errorFor(error: unknown, live: TrainingSnapshot): Promise<unknown>;
}

/** A rescue that starts with `initial`, on the host. */
export function createRescue(model: Layer, initial: TrainingSnapshot, history: History): Rescue {
  let snapshot = initial;
  let nextAt = 0;
  const read = async ({ variables, optimizerState, place }: TrainingSnapshot): Promise<TrainingSnapshot> => {
    const onHost = await toHost([variables, optimizerState] as const);
    return { variables: onHost[0], optimizerState: onHost[1], place };
  };
  return {
    async keep(live) {
      const began = performance.now();
      if (began < nextAt) return;
      snapshot = await read(live);
      const ended = performance.now();
      nextAt = ended + SHARE_OF_READING * (ended - began);
    },
    async errorFor(error, live) {
      const isBatch = error instanceof BatchError;
      if (!(isBatch || error instanceof DeviceLost || error instanceof DeviceOutOfMemory)) return error;
      try {
        const last = await read(live);
        if (allFinite(trainableParams<Tensor>(model, last.variables.params))) snapshot = last;
      } catch {
        // the previous copy is what remains
      }
      if (isBatch) return new BatchError(error.cause, error, { ...snapshot, history });
      const isFirst = snapshot.place === initial.place && error instanceof DeviceOutOfMemory;
      return isFirst ? error : new DeviceLostError(error, snapshot, history); // nothing to rescue
    },
  };
}
