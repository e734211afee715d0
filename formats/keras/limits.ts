/** What the functions that read take alike. */
import { checkBytes, checkCount } from "../../src/describe.ts";
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
  checkBytes(`use ${what}`, bytes);
  checkCount(`use ${what}`, maxBytes, "maxBytes");
  return { maxBytes };
}
