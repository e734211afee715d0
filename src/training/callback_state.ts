/**
 * The state of a callback as it is saved: plain data in which tensors may stand. As JSON, with the tensors
 * beside it, it keeps every number, NaN and infinities included.
 */
import { describeValue, isObject } from "../describe.ts";
import type { Variables } from "../layers/layer.ts";
import type { Json } from "../options/json.ts";
import { isTensor, type Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";

/** Plain data in which tensors may stand; a key whose value is undefined counts as absent. */
export type CallbackState =
  | null
  | boolean
  | number
  | string
  | Tensor
  | Tree<Tensor>
  | Variables
  | readonly CallbackState[]
  | { readonly [key: string]: CallbackState | undefined };

/** A state in two parts. */
export interface PackedState {
  /** Objects are `{ object }`, tensors `{ tensor: index }`, and numbers that JSON lacks `{ number: text }`. */
  readonly json: Json;
  readonly tensors: readonly Tensor[];
}

/** Takes a state apart. */
export function packState(state: CallbackState): PackedState {
  const tensors: Tensor[] = [];
  const pack = (value: CallbackState): Json => {
    if (typeof value === "number") {
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { number: textOf(value) };
    }
    if (value === null || typeof value === "boolean" || typeof value === "string") return value;
    if (isTensor(value)) return { tensor: tensors.push(value) - 1 };
    if (Array.isArray(value)) return value.map(pack);
    if (isObject(value)) {
      const entries = Object.entries(value as Readonly<Record<string, CallbackState | undefined>>); // what is left
      return {
        object: Object.fromEntries(
          entries.flatMap(([key, part]) => part === undefined ? [] : [[key, pack(part)]]),
        ),
      };
    }
    throw new TypeError(
      `Cannot save the state of a callback: it has ${
        describeValue(value)
      }, expected plain data and tensors, as tensor([...values]) makes`,
    );
  };
  return { json: pack(state), tensors };
}

function textOf(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Puts a state together again; its file was checked. */
export function unpackState({ json, tensors }: PackedState): CallbackState {
  const unpack = (value: Json): CallbackState => {
    if (value === null || typeof value !== "object") return value;
    if (isList(value)) return value.map(unpack);
    if (typeof value.tensor === "number") return tensors[value.tensor];
    if (typeof value.number === "string") return Number(value.number);
    return Object.fromEntries(Object.entries(value.object ?? {}).map(([key, part]) => [key, unpack(part)]));
  };
  return unpack(json);
}

/** `Array.isArray` leaves readonly arrays among the objects. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
