/** How fast training goes and how long it will take, from its position whenever that is shown. */
import type { Logs } from "./objective.ts";

/** The position of training. */
export interface Progress {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** How many epochs there are. */
  readonly epochs: number;
  /** Completed steps of this epoch. */
  readonly step: number;
  /** How many steps an epoch has; undefined if that is not known. */
  readonly steps: number | undefined;
  /** Samples of this epoch seen so far. */
  readonly samples: number;
  /** Milliseconds since the epoch started. */
  readonly elapsed: number;
  /** Losses and metrics so far. */
  readonly logs: Logs;
}

/** The pace of training; what cannot be told yet is undefined. */
export interface Pace {
  /** Steps per second. */
  readonly rate: number | undefined;
  /** Seconds until the last step of this epoch. */
  readonly left: number | undefined;
  /** Seconds until the end of training, where more epochs follow. */
  readonly inAll: number | undefined;
}

/** Follows one training. */
export interface Pacer {
  /** The pace at a step. */
  readonly step: (progress: Progress) => Pace;
  /** The steps per second of a completed epoch. */
  readonly epoch: (progress: Progress) => { readonly rate: number };
}

/**
 * A pacer. It measures from the first step that it sees of an epoch: what comes before, such as compiling in the
 * first epoch, does not come again, and an epoch that is resumed does not begin at its first step.
 */
export function createPacer(): Pacer {
  let first: Progress | undefined;
  let rate: number | undefined;
  /** Seconds that the last whole epoch took, with its validation. */
  let epochSeconds: number | undefined;
  const measure = (progress: Progress): void => {
    if (first?.epoch !== progress.epoch) first = progress;
    const [steps, time] = [progress.step - first.step, progress.elapsed - first.elapsed];
    if (steps > 0 && time > 0) rate = steps / time * 1000;
  };
  return {
    step(progress) {
      measure(progress);
      const { epoch, epochs, step, steps } = progress;
      if (rate === undefined || steps === undefined) return { rate, left: undefined, inAll: undefined };
      const left = (steps - step) / rate;
      const following = epochs - epoch - 1;
      const inAll = left + following * (epochSeconds ?? steps / rate);
      return { rate, left, inAll: following > 0 ? inAll : undefined };
    },
    epoch(progress) {
      epochSeconds = progress.elapsed / 1000;
      const measured = first?.epoch === progress.epoch ? rate : undefined;
      return { rate: measured ?? progress.step / Math.max(epochSeconds, 1e-3) };
    },
  };
}
