/** External names and values as text for errors, kept short. */
import { describeValue, isObject } from "./describe.ts";

/** The longest text of a value in an error. */
const LONGEST_TEXT = 80;

/** Longer names are quoted as keys. */
const LONGEST_KEY = 64;

/** A value as JSON for an error message; a long text, list or object is truncated. */
export function quoted(value: unknown): string {
  const text = printed(value, 2);
  return text.length <= LONGEST_TEXT + 2 ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** A name as the key of an object in code: quoted unless it is a short identifier. */
export function asKey(name: string): string {
  return name.length <= LONGEST_KEY && /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name);
}

/** The beginning of a value as JSON: nothing below `depth`, and no more than can be shown. */
function printed(value: unknown, depth: number): string {
  if (typeof value === "string") {
    const cut = value.length > LONGEST_TEXT;
    return JSON.stringify(cut ? `${value.slice(0, LONGEST_TEXT - 3)}...` : value);
  }
  if (typeof value === "function") return describeValue(value);
  if (typeof value !== "object" || value === null) return String(value);
  const list = Array.isArray(value);
  if (!list && !isPlain(value)) return describeValue(value);
  if (depth === 0) return list ? "[…]" : "{…}";
  const items: string[] = [];
  for (const key in value) { // not Object.keys, which lists all keys of a large object
    if (items.length * 2 > LONGEST_TEXT) break;
    const item = printed((value as { readonly [key: string]: unknown })[key], depth - 1); // any object may be read so
    items.push(list ? item : `${printed(key, 0)}:${item}`);
  }
  return list ? `[${items.join(",")}]` : `{${items.join(",")}}`;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return isObject(value) && (prototype === Object.prototype || prototype === null);
}
