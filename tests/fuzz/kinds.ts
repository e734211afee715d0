/** What a value of a model is known to be while the model grows, and what layers make of it. */
import type { InputDescription } from "./description.ts";

/** A value's form, its steps and what may be in them. */
export interface Kind {
  readonly dtype: InputDescription["dtype"];
  /** Of a sample; the first `time` axes are steps. */
  readonly shape: readonly number[];
  readonly time: 0 | 1 | 2;
  /** Whether some steps were made of what had none: they are as many as those of an input by chance only. */
  readonly made?: boolean;
  /** How many axes its mask has; 0 for none. */
  readonly mask: 0 | 1 | 2;
  /** Whether steps that do not count may be NaN. */
  readonly wild: boolean;
  /** Whether what counts of it depends on the first axis' steps that count alone. */
  readonly clean: boolean;
  /** What it came from by nothing but moving numbers: a softmax or sigmoid. */
  readonly range?: "softmax" | "sigmoid";
}

/** The kind after an elementwise layer. */
export function reshaped(kind: Kind, shape: readonly number[], range?: Kind["range"]): Kind {
  return { ...kind, dtype: "float32", shape, range };
}

/** The kind of a step. */
export function stepKind(kind: Kind): Kind {
  return {
    ...kind,
    shape: kind.shape.slice(1),
    time: kind.time === 2 ? 1 : 0,
    mask: kind.mask === 2 ? 1 : 0,
    wild: kind.wild && kind.mask === 2,
  };
}

/** The kind of all steps, each being of `inner`; `outer` is the kind that the steps were taken from. */
export function sequenceKind(outer: Kind, inner: Kind): Kind {
  const mask = inner.mask === 1 ? 2 : outer.mask > 0 ? 1 : 0;
  return {
    ...inner,
    shape: [outer.shape[0], ...inner.shape],
    time: inner.time === 0 ? 1 : 2,
    mask,
    // What is NaN in a whole step that does not count stays so unless the layers inside replaced it.
    wild: (outer.wild && outer.mask === 1) || inner.wild,
    clean: outer.clean,
  };
}

/** The kind after the first axis' steps were folded. */
export function folded(kind: Kind, features: readonly number[], sequences: boolean): Kind {
  return {
    ...kind,
    shape: sequences ? [kind.shape[0], ...features] : features,
    time: sequences ? kind.time : 0,
    made: sequences ? kind.made : undefined,
    mask: sequences ? kind.mask : 0,
    wild: false,
    clean: kind.clean && kind.mask > 0,
    range: undefined,
  };
}
