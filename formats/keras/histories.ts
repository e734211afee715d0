/** How a functional configuration names the tensors that its calls read. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError } from "./errors.ts";
import { isList, isObject } from "./objects.ts";

/** One tensor: the operator, its call, and the output of that call. */
export interface History {
  readonly operator: string;
  readonly call: number;
  readonly index: number;
}

/** A history as Keras writes it: `[layer, call, output]`. */
export function historyOf(value: Json | undefined, place: string): History {
  const [operator, call, index] = isList(value) ? value : [];
  if (typeof operator === "string" && Number.isSafeInteger(call) && Number.isSafeInteger(index)) {
    return { operator, call: Number(call), index: Number(index) };
  }
  throw new KerasFileError(place, `expected [layer, call, output], found ${quoted(value)}`);
}

/** Whether a value of a configuration is a tensor of the graph. */
export const isTensorOf = (value: Json): boolean =>
  isObject(value) && value.class_name === "__keras_tensor__";

/** The tensors that a call reads, anywhere in its arguments. */
export function historiesIn(value: Json | undefined, place: string): History[] {
  if (isList(value)) return value.flatMap((item) => historiesIn(item, place));
  if (!isObject(value)) return [];
  if (isTensorOf(value)) {
    return [historyOf(isObject(value.config) ? value.config.keras_history : undefined, place)];
  }
  return Object.values(value).flatMap((item) => historiesIn(item, place));
}

/** A call as a key. */
export const keyOf = (operator: string, call: number): string => JSON.stringify([operator, call]);

/** The key of a tensor for the mask reader. */
export const tensorKey = ({ operator, call, index }: History): string =>
  JSON.stringify([operator, call, index]);
