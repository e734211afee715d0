/** What the reading functions share. */
import { checkBytes, checkCount } from "../../src/describe.ts";
import { checkOptions } from "../../src/option_names.ts";

/** Options of {@linkcode fromKeras} and {@linkcode loadKerasWeights}. */
export interface KerasReadOptions {
  /**
   * The largest size in bytes of all weights together in memory, or of one of them. Default 2³¹ - 1, about 2
   * GiB.
   */
  readonly maxBytes?: number;
}

/** The options, checked, with their defaults; also checks the bytes. */
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
