/** The effect of the example: a recurrent network that takes sound in blocks, as audio worklets do. */
import { dense, gru, init, key, type Layer, sequential, spec, type Variables } from "@cellfold/cellfold";

/** Samples of a block: those of one call of an audio worklet. */
export const BLOCK = 128;

/** Specs of the sound: blocks of one channel. */
export const sound = spec([1, null, BLOCK]);

/** The name by which the worklet registers its processor. */
export const PROCESSOR = "recurrent-effect";

/** A block is a step: its samples are the features. */
export function effect(): Layer {
  return sequential([gru({ units: 32, returnSequences: true }), dense({ units: BLOCK })]);
}

/** Weights; those of a real effect are trained, and loaded from a file. */
export function weights(): Variables {
  return init(effect(), key(3), sound);
}

/** What the page and the processor send each other. */
export type Message =
  | { readonly kind: "variables"; readonly variables: Variables }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  /** How many blocks were asked for, and how many of them took longer than they sound. */
  | { readonly kind: "blocks"; readonly blocks: number; readonly late: number };
