/** A class of Keras and our type: one row, with the options that both have. */
import type { Json } from "../../src/options/json.ts";
import type { Kind } from "./values.ts";

/** A class of Keras that we have an equivalent of. */
export interface ClassRow {
  /** Keras's class. */
  readonly className: string;
  /** The type of our layer or cell. */
  readonly type: string;
  /** Keras's option names with the kinds of their values. */
  readonly options: Readonly<Record<string, Kind>>;
  /** Options that Keras has and we have not, with the values that mean what we do; the first is written. */
  readonly fixed?: Readonly<Record<string, readonly Json[]>>;
  /** Options that have no bearing on what is computed here. */
  readonly without?: readonly string[];
}

/** How Keras computes, not what: a seed (we draw by key), and which implementation runs. */
export const how: readonly string[] = ["seed", "implementation", "use_cudnn"];
