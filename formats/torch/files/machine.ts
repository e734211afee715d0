/** The state of reading a pickle: shared by the opcodes and by what names make. */
import type { PickleValue } from "./values.ts";

/** The state of reading one pickle. */
export interface Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The offset of the next byte. */
  at: number;
  readonly stack: PickleValue[];
  /** How many more opcodes may be read: each makes at most one value. */
  steps: number;
  /** The heights of the stack at which marks are. */
  readonly marks: number[];
  readonly memo: Map<number, PickleValue>;
  /** How many more values may be copied: what is made anew by name may be large, and made often. */
  copies: number;
  /** The error for a problem at this place of the pickle. */
  readonly fail: (reason: string) => Error;
}
