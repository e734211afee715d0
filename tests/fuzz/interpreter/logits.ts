/**
 * What probabilities were made from, wherever the library knows it: behind a softmax or sigmoid, in what a recurrent
 * layer without a mask puts out, and in what only puts such together.
 */
import { joined, list, type Nested } from "./nested.ts";
import type { Logits } from "./types.ts";

/** What the result of an activation of that name was made from, where losses know it. */
export function logitsBehind(name: unknown, x: Nested): Logits | undefined {
  return name === "softmax" || name === "sigmoid" ? { kind: name, x } : undefined;
}

/** The logits behind a sequence of outputs; undefined where not every step has some. */
export function stackedLogits(steps: readonly (Logits | undefined)[]): Logits | undefined {
  const [first] = steps;
  return first && { kind: first.kind, x: steps.flatMap((logits) => logits ? [logits.x] : []) };
}

/** Logits behind several arrays joined along the last axis, on which a softmax would have its classes. */
export function joinedLogits(all: readonly (Logits | undefined)[]): Logits | undefined {
  const known = all.flatMap((logits) => logits?.kind === "sigmoid" ? [logits.x] : []);
  return known.length === all.length ? { kind: "sigmoid", x: known.reduce(joined) } : undefined;
}

/** Logits behind several sequences one after the other. */
export function oneAfterAnother(all: readonly (Logits | undefined)[]): Logits | undefined {
  const [first] = all;
  const known = all.flatMap((logits) => logits && logits.kind === first?.kind ? list(logits.x) : []);
  return first && all.every((logits) => logits?.kind === first.kind)
    ? { kind: first.kind, x: known }
    : undefined;
}
