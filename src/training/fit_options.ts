/** What a loop of training is given and gives: the options of a trainer's `fit`, and its result. */
import type { Variables } from "../layers/layer.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Callback } from "./callbacks.ts";
import type { FeedsOptions } from "./fit_feeds.ts";
import type { History } from "./non_finite.ts";
import type { OptimizerState } from "./optimizers.ts";
import type { Report } from "./progress.ts";
import type { Resume } from "./resume.ts";

/** How a trainer iterates over data. */
export interface FitLoopOptions extends FeedsOptions {
  /** The number of passes over the data, counted from epoch 0; default 1. */
  readonly epochs?: number;
  /**
   * The random key of the order and of dropout; default `key(0)`. It is folded with the number of earlier
   * updates, as counted in `optimizerState`, so that a continued run does not repeat its random numbers.
   */
  readonly key?: Tensor;
  /**
   * The optimizer's state to continue with, from the same optimizer and trained weights; default: a fresh
   * one.
   */
  readonly optimizerState?: OptimizerState;
  /**
   * Where an interrupted run goes on: a directory that {@linkcode checkpoint} wrote. The variables then only
   * say their structure. Model, optimizer, losses, `batchSize`, `shuffle` and `key` must be those of that
   * run, and so should the data and the device; `epochs` may be larger.
   */
  readonly resume?: Resume;
  /** Objects whose functions are called while training; default none. */
  readonly callbacks?: readonly Callback[];
  /** Aborting it ends training after the present step, or during the validation, which is then discarded. */
  readonly signal?: AbortSignal;
  /** Default `auto`: a bar on a terminal, otherwise one line per epoch. */
  readonly report?: Report;
}

/** The result of training. */
export interface FitResult {
  /** The final weights and state, on the host. */
  readonly variables: Variables;
  /**
   * With it, the variables and the same options, a later call continues as if there had been no break, bit
   * for bit: two epochs and two more are four.
   */
  readonly optimizerState: OptimizerState;
  /** By name, one entry per completed epoch, with those before an interruption. */
  readonly history: History;
  /** Why training ended before the last epoch. */
  readonly stopped?: "aborted" | "callback";
}
