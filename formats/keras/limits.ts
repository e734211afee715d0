/** What the functions that read take alike. */
import { checkOptions } from "../../src/nearest.ts";

/** Options of {@linkcode fromKeras} and {@linkcode loadKerasWeights}. */
export interface KerasReadOptions {
  /** The most bytes that the weights, or one of them, may take in memory. Default 2³¹ - 1, about 2 GiB. */
  readonly maxBytes?: number;
}

/** The options, checked, with their defaults; checks the bytes too. */
export function defineOptions(
  what: string,
  bytes: Uint8Array,
  options: KerasReadOptions,
): Required<KerasReadOptions> {
  checkOptions(what, options, ["maxBytes"]);
  const { maxBytes = 2 ** 31 - 1 } = options;
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot use ${what}: the file must be a Uint8Array, current value is ${typeof bytes}`,
    );
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw new RangeError(
      `Cannot use ${what}: maxBytes is ${String(maxBytes)}, expected a whole number from 1`,
    );
  }
  return { maxBytes };
}
