/** What a pickle of PyTorch may build: plain data, and references to tensors whose numbers are elsewhere. */
import type { StorageType } from "./storage_types.ts";

/** A value of a pickle. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | Tuple
  | Dict
  | Storage
  | StoredTensor
  | Global;

/** A list; it is filled after it was made, and may contain itself. */
export type PickleList = PickleValue[];

/** A dict or OrderedDict; it is filled after it was made, and may contain itself. */
export type Dict = Map<PickleValue, PickleValue>;

/** A tuple, or a torch.Size. */
export interface Tuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

/** Numbers outside of the pickle. */
export interface Storage {
  readonly kind: "storage";
  readonly type: StorageType;
  /** Its name in the file. */
  readonly key: string;
  /** How many elements of the type it has. */
  readonly count: number;
  /** Of a storage that is a part of the one named `key`, the first element of it; else 0. */
  readonly first: number;
  /** How many elements the one named `key` has. */
  readonly wholeCount: number;
}

/** A tensor whose numbers are in a storage; strides and offset count elements. */
export interface StoredTensor {
  readonly kind: "tensor";
  readonly storage: Storage;
  /** Of the elements; other than that of a storage without one. */
  readonly type: StorageType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Something that a pickle refers to by its name; only names that are known get this far. */
export interface Global {
  readonly kind: "global";
  readonly name: string;
}

/** Whether a value is a tuple. */
export function isTuple(value: PickleValue): value is Tuple {
  return isKind(value, "tuple");
}

/** Whether a value is a tensor. */
export function isStoredTensor(value: PickleValue): value is StoredTensor {
  return isKind(value, "tensor");
}

/** Whether a value is of one of the kinds that have a name. */
export function isKind<K extends "tuple" | "storage" | "tensor" | "global">(
  value: PickleValue,
  kind: K,
): value is Extract<PickleValue, { readonly kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}

/** Whether a value counts something. */
export function isSize(value: PickleValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A short description of a value, for errors. */
export function describePickled(value: PickleValue): string {
  if (value === null) return "None";
  switch (typeof value) {
    case "string":
      return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
    case "number":
    case "bigint":
      return `the number ${String(value).slice(0, 40)}`;
    case "boolean":
      return value ? "True" : "False";
  }
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  return value.kind === "global" ? value.name : `a ${value.kind}`;
}
