/**
 * Guards training against a loss that is NaN or infinite: losses stay on the device and are read together
 * every few steps, and the last weights known to be good are kept on the host.
 */
import type { Layer, Variables } from "../layers/layer.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { toHost } from "../tree/to_host.ts";
import { allFinite } from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { trainableParams } from "./step.ts";

/** Losses and metrics by name, one entry per epoch. */
export interface History {
  /** One entry per completed epoch. */
  readonly [name: string]: number[];
}

/**
 * Thrown by `fit` and `trainOnBatch` when the loss of a batch is NaN or infinite, and by `fit` when that of
 * the validation is. Earlier progress is not lost.
 */
export class NonFiniteLossError extends Error {
  /** The name of the class. */
  override readonly name = "NonFiniteLossError";
  /** The epoch, from 0. */
  readonly epoch: number;
  /** The step of that epoch, from 0; for `trainOnBatch`, the step of the training state. */
  readonly step: number;
  /** Whether the loss is that of the validation after the epoch. */
  readonly validation: boolean;
  /**
   * The last weights known to be good, on the host: with them the loss of some earlier batch, or that of the
   * last validation, was finite. For `trainOnBatch`: the weights that it was given.
   */
  readonly variables: Variables;
  /** The epochs that were completed. */
  readonly history: History;

  /** Made by `fit` and `trainOnBatch`; `what` says what is not finite, and where. */
  constructor(what: string, details: NonFiniteDetails) {
    super(
      `Cannot go on training: ${what}; the last good weights are in error.variables. ` +
        `Try a smaller learning rate or clipnorm, and look for NaN in the data`,
    );
    const { place, variables, history = {}, validation = false } = details;
    this.epoch = place.epoch;
    this.step = place.step;
    this.validation = validation;
    this.variables = variables;
    this.history = history;
  }
}

/** A step of an epoch, both from 0. */
export interface StepPlace {
  /** The epoch. */
  readonly epoch: number;
  /** The step of that epoch. */
  readonly step: number;
}

/** The details of a {@linkcode NonFiniteLossError}. */
export interface NonFiniteDetails {
  /** The position of training. */
  readonly place: StepPlace;
  /** The last good weights, on the host. */
  readonly variables: Variables;
  /** The epochs that were completed; default none. */
  readonly history?: History;
  /** Whether the loss is that of the validation; default false. */
  readonly validation?: boolean;
}

function placeText({ epoch, step }: StepPlace): string {
  return `at step ${step + 1} of epoch ${epoch + 1}`;
}

/** The end of an error with the weights after some steps of an epoch. */
export function goingOnText({ epoch, step }: StepPlace): string {
  return `The weights after ${step} steps of epoch ${epoch + 1} are in error.variables: ` +
    `fit(model, error.variables, …, { optimizerState: error.optimizerState }) goes on from them`;
}

/** How many losses are read together: on a GPU each reading waits for all work submitted before it. */
const CHECK_EVERY = 16;

/** Watches the losses of a training run. */
export interface LossGuard {
  /** Takes ownership of the loss of a step. */
  record(loss: Tensor, place: StepPlace): void;
  /** Whether enough losses are waiting to be read. */
  readonly isDue: boolean;
  /**
   * Reads the waiting losses, and keeps `variables` as the next candidate for good weights.
   *
   * @throws NonFiniteLossError at the first loss that is not finite.
   */
  check(variables: Variables): Promise<void>;
  /**
   * Checks the loss of the validation, which is that of the weights given to the last `check`.
   *
   * @throws NonFiniteLossError if it is not finite.
   */
  validated(loss: number, place: StepPlace): void;
  /**
   * The final weights, on the host; no loss was computed with them, so they are checked themselves.
   *
   * @throws NonFiniteLossError if a trained weight is not finite.
   */
  finish(variables: Variables): Promise<Variables>;
}

/** A guard that starts with `initial`, on the host, as the last good weights. */
export function createLossGuard(
  model: Layer,
  initial: Variables,
  history: History,
): LossGuard {
  let waiting: { readonly loss: Tensor; readonly place: StepPlace }[] = [];
  let last: StepPlace = { epoch: 0, step: 0 };
  // The first waiting loss was computed with the candidate, which is good once that loss is finite.
  let candidate = initial;
  let good = candidate;
  const check = async (variables: Variables | undefined) => {
    if (waiting.length === 0) return;
    const losses = await toHost(waiting.map(({ loss }) => loss));
    disposeTree(waiting.map(({ loss }) => loss));
    const places = waiting.map(({ place }) => place);
    waiting = [];
    const values = losses.map((loss) => loss.kind === "host" ? loss.data[0] : NaN); // all are on the host by now
    if (Number.isFinite(values[0])) good = candidate;
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      const [place, variables] = [places[bad], good];
      throw new NonFiniteLossError(`the loss is ${values[bad]} ${placeText(place)}`, {
        place,
        variables,
        history,
      });
    }
    if (variables) candidate = await toHost(variables);
  };
  return {
    record(loss, place) {
      waiting.push({ loss, place });
      last = place;
    },
    get isDue() {
      return waiting.length >= CHECK_EVERY;
    },
    check,
    validated(loss, place) {
      if (Number.isFinite(loss)) good = candidate;
      else {
        throw new NonFiniteLossError(`the loss of the validation is ${loss} after epoch ${place.epoch + 1}`, {
          place,
          variables: good,
          history,
          validation: true,
        });
      }
    },
    async finish(variables) {
      await check(undefined);
      const final = await toHost(variables);
      if (allFinite(trainableParams<Tensor>(model, final.params))) return final;
      throw new NonFiniteLossError(`weights are no longer finite after the update ${placeText(last)}`, {
        place: last,
        variables: good,
        history,
      });
    },
  };
}
