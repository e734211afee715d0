/** What the reading functions share. */
import { checkBytes, checkCount } from "../../src/describe.ts";
import { checkOptions } from "../../src/option_names.ts";

/** Options of {@linkcode loadKerasWeights}. */
export interface KerasReadOptions {
  /**
   * The largest size in bytes of all weights together in memory, or of one of them. Default 2³¹ - 1, about 2
   * GiB.
   */
  readonly maxBytes?: number;
}

/** Options of {@linkcode fromKeras}. */
export interface KerasModelOptions extends KerasReadOptions {
  /**
   * The configuration of an HDF5 file with weights alone: the JSON of `model.to_json()`, which is often published
   * beside it. Files of whole models have their own.
   */
  readonly config?: string;
}

/** The options, checked, with their defaults; also checks the bytes. */
export function defineOptions(
  what: string,
  bytes: Uint8Array,
  options: KerasReadOptions,
  others: readonly string[] = [],
): Required<KerasReadOptions> {
  checkOptions(what, options, ["maxBytes", ...others]);
  const { maxBytes = 2 ** 31 - 1 } = options;
  checkBytes(`use ${what}`, bytes);
  checkCount(`use ${what}`, maxBytes, "maxBytes");
  return { maxBytes };
}
