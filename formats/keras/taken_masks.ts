/**
 * The masks that attention sees in Keras 3. Files record the mask that a layer is given only where it is an argument
 * named `mask`; a `MultiHeadAttention` reads those that its inputs carry when the model runs, and takes them away from
 * these tensors. What else reads the mask of such a tensor then has it or not by the order of calls.
 */
import type { Layer } from "../../src/layers/mod.ts";
import { isAttention } from "./attention.ts";
import { masksOfCall } from "./masks.ts";

/** Why, for errors. */
export const TAKEN =
  "when Keras runs the model, as a MultiHeadAttention takes the masks of its inputs away, and " +
  "operations between layers drop them";

/** What to do, for errors. */
export const REMEDY = "let each attention read the output of a layer that nothing else reads, such as a " +
  "normalization before it, or leave out the masks";

/** A call of a layer on tensors by their keys. */
export interface MaskedCall {
  readonly key: (index: number) => string;
  readonly layer: Layer;
  readonly inputs: readonly string[];
  /** Which of its inputs carry a mask here. */
  readonly masked: readonly boolean[];
  /** Whether the file records a mask for it. */
  readonly isGiven: boolean;
  /** The error that one of its inputs has `what` in Keras. */
  differs(what: string): Error;
}

/** Starts without masks: a function that records calls in their order, and throws where attention would differ. */
export function takenMasks(): (call: MaskedCall) => void {
  /** The tensors whose masks make that of a tensor, itself among them; absent for one without a mask. */
  const origins = new Map<string, ReadonlySet<string>>();
  /** The calls of `MultiHeadAttention` that take the mask of a tensor, and those that see it or one made of it. */
  const takers = new Map<string, string>(), readers = new Map<string, string>();
  const attend = ({ key, inputs, masked, differs }: MaskedCall) => {
    const own = key(0);
    inputs.forEach((input, index) => {
      const inKeras = origins.has(input);
      if (inKeras !== masked[index]) throw differs(inKeras ? "a mask that is lost here" : "no mask");
      for (const origin of origins.get(input) ?? []) {
        if ((takers.get(origin) ?? own) !== own) {
          throw differs("no mask, or one by the order of calls");
        }
        readers.set(origin, readers.has(origin) && readers.get(origin) !== own ? "several" : own);
      }
    });
    for (const input of inputs.filter((input) => origins.has(input))) {
      if (readers.get(input) !== own) throw differs("a mask that another call of attention reads too");
      takers.set(input, own);
    }
  };
  return (call) => {
    const { key, layer, inputs, isGiven } = call;
    if (layer.type === "multiHeadAttention") attend(call);
    const pairs = inputs.map((tensor) => ({ tensor, mask: origins.has(tensor) ? tensor : undefined }));
    const isNew = isGiven || isAttention(layer);
    const sources = isNew ? [] : inputs.flatMap((input) => [...origins.get(input) ?? []]);
    masksOfCall<string>(layer, pairs, isGiven ? "given" : undefined, () => "made").forEach((mask, index) => {
      if (mask !== undefined) origins.set(key(index), new Set([key(index), ...sources]));
    });
  };
}
