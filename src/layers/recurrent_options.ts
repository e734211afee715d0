/**
 * The options of a recurrent layer: what it does with its cell, and the options that every layer takes. What
 * the cell takes is beside the cell.
 */
import { checkOptions } from "../option_names.ts";
import { layerOptionNames, type LayerOptions } from "./define.ts";

/**
 * What a recurrent layer does with its cell, named as in Keras.
 *
 * @typeParam ReturnState The type of `returnState`: `true` or `false` where it is known. Functions declare it as
 *   `const`, or it would widen to `boolean` inside another call, as in `bidirectional(gru({ … }))`.
 */
export interface RecurrentFlags<ReturnState extends boolean = boolean> {
  /** The outputs of all steps `[batch, time, ...]`, or (default) of the last one `[batch, ...]`. */
  readonly returnSequences?: boolean;
  /** The output becomes `[output, state]`, with the cell's state after the last step; default false. */
  readonly returnState?: ReturnState;
  /** From the last step to the first; the outputs are in the order of processing. Default false. */
  readonly goBackwards?: boolean;
  /**
   * Each call starts with the state after the previous one, through which no gradient passes, not even between
   * two calls in one graph; the batch is then fixed. Default false.
   */
  readonly stateful?: boolean;
  /** Accepted and saved, without effect: the compiler decides the schedule. Default false. */
  readonly unroll?: boolean;
  /**
   * A masked step outputs zeros rather than the previous step's output, and so does a layer without
   * `returnSequences` whose last step is masked, as in Keras; default false.
   */
  readonly zeroOutputForMask?: boolean;
  /**
   * While training, keeps one state per this many steps and recomputes the others: less memory, more work.
   * Takes effect if the number of steps is known, as it is when a model runs. Default null: all are kept.
   */
  readonly checkpointEvery?: number | null;
}

/** Options of {@linkcode rnn}. */
export interface RnnOptions<ReturnState extends boolean = boolean>
  extends RecurrentFlags<ReturnState>, LayerOptions {}

/** The names of the flags of a recurrent layer. */
export const flagNames = [
  "returnSequences",
  "returnState",
  "goBackwards",
  "stateful",
  "unroll",
  "zeroOutputForMask",
  "checkpointEvery",
] as const;

/** The names of `RnnOptions`. */
export const rnnOptionNames = [...flagNames, ...layerOptionNames] as const;

/** Separates the options of a cell from those of the layer around it. */
export function splitOptions<Options extends RnnOptions>(
  type: string,
  options: Options,
  cellNames: readonly string[],
): {
  readonly cellOptions: Omit<Options, keyof RnnOptions>;
  readonly layerOptions: Pick<Options, keyof RnnOptions>;
} {
  checkOptions(type, options, [...cellNames, ...rnnOptionNames]);
  const entries = Object.entries(options);
  const pick = (ofCell: boolean) =>
    Object.fromEntries(entries.filter(([key]) => cellNames.includes(key) === ofCell));
  return {
    cellOptions: pick(true) as Omit<Options, keyof RnnOptions>, // every other key is an RnnOptions, as just checked
    layerOptions: pick(false) as Pick<Options, keyof RnnOptions>,
  };
}
