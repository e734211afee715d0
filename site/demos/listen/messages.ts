/** What the page and the audio worklet say to each other. */
import type { Variables } from "@cellfold/cellfold";

/** The name by which the worklet registers its processor. */
export const PROCESSOR = "cellfold-listener";

/** Blocks of a report: 32 ms of sound. */
export const REPORT = 4;

/** To the worklet. */
export type Order =
  /** Compile the model, and time a step. */
  | { readonly kind: "open"; readonly variables: Variables }
  /** Free the model; nothing comes after it. */
  | { readonly kind: "close" };

/** From the worklet. */
export type Report =
  | { readonly kind: "ready"; readonly milliseconds: number }
  | { readonly kind: "failed"; readonly message: string }
  | ({ readonly kind: "heard" } & Heard);

/** What was heard in some blocks. */
export interface Heard {
  /** The probability of a voice, by block. */
  readonly voice: Float32Array;
  /** The bands, block by block. */
  readonly bands: Float32Array;
  /** The loudest sample of each block. */
  readonly peaks: Float32Array;
  /** How many calls so far took longer than their sound lasts. */
  readonly late: number;
}
