/** A Keras class and our type: one row, with the options that both have. */
import type { Json, JsonOptions } from "../../src/options/json.ts";
import type { Kind } from "./values.ts";

/** A Keras class that has an equivalent here. */
export interface ClassRow {
  /** Keras's class. */
  readonly className: string;
  /** The type of our layer or cell. */
  readonly type: string;
  /** Keras's option names with the kinds of their values. */
  readonly options: Readonly<Record<string, Kind>>;
  /** Options that only Keras has, with the values equivalent to ours; the first is written. */
  readonly fixed?: Readonly<Record<string, readonly Json[]>>;
  /** Our options that are initial values of weights, which a file has. */
  readonly asWeights?: readonly string[];
  /** Our options that Keras does not have, with the values by which the layer computes as in Keras. */
  readonly asKeras?: JsonOptions;
  /** Whether Keras's class refuses `trainable` and `activity_regularizer`, which other layers have. */
  readonly withoutCommon?: boolean;
  /** Options that do not affect the result here. */
  readonly without?: readonly string[];
}

/** How Keras computes, not what: a seed (we draw by key), and the implementation to run. */
export const how: readonly string[] = ["seed", "implementation", "use_cudnn"];
