/**
 * What was given where something else is taken: in few words for errors, and checks of the kinds that JavaScript
 * itself has. What a tensor, a layer or a tree is, others know and check with these words.
 */
import { asKey, quoted } from "./nearest.ts";

/** How many keys of an object are named. */
const MOST_KEYS = 8;

/** Whether a value is a promise, of this realm or another. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** A value in few words: `an array of 2`, `the number 3`, `a function`, `an object with the keys {a, b}`. */
export function inWords(value: unknown): string {
  switch (typeof value) {
    case "number":
    case "bigint":
      return `the number ${value}`;
    case "string":
      return `the text ${quoted(value)}`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : objectInWords(value);
    default: // undefined, a boolean, a symbol
      return String(value);
  }
}

function objectInWords(value: object): string {
  if (isPromise(value)) return "a Promise";
  if ("dtype" in value && "shape" in value && Array.isArray(value.shape)) {
    return `${"kind" in value ? "a tensor" : "a spec"} ${value.dtype}[${
      value.shape.map(sizeInWords).join(", ")
    }]`;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value) && "length" in value) return `${nameOf(value)} of ${value.length}`;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return nameOf(value);
  if ("type" in value && typeof value.type === "string") {
    if ("apply" in value) return `the layer ${asKey(value.type)}`;
    if ("step" in value) return `the cell ${asKey(value.type)}`;
  }
  const keys = Object.keys(value);
  const shown = keys.slice(0, MOST_KEYS).map((key) => key.length > 32 ? `${key.slice(0, 32)}…` : key);
  return keys.length === 0
    ? "an empty object"
    : `an object with the keys {${shown.join(", ")}${keys.length > MOST_KEYS ? ", …" : ""}}`;
}

function sizeInWords(size: unknown): string {
  const isOpen = typeof size === "object" && size !== null && Object.hasOwn(size, "toString");
  return typeof size === "number" || isOpen ? String(size) : "?";
}

/** The class of an object, with its article. */
function nameOf(value: object): string {
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  const name: unknown = kind === "Object" ? value.constructor?.name : kind;
  if (typeof name !== "string" || name === "") return "an object";
  return `${/^[AEIOU]/i.test(name) && !name.startsWith("Uint") ? "an" : "a"} ${name}`;
}

/**
 * The error for an argument of the wrong kind. A promise is the same mistake everywhere: it was not awaited.
 *
 * @param what What cannot be done, such as `compute add`.
 * @param name What the value was given as, such as `x` or `the variables`.
 * @param expected What is taken, and how one makes it.
 */
export function wrongKind(what: string, name: string, value: unknown, expected: string): TypeError {
  return new TypeError(
    `Cannot ${what}: ${name} is ${inWords(value)}` +
      (isPromise(value) ? "; await it first" : `, expected ${expected}`),
  );
}

/** Throws a TypeError unless `value` is a function. */
export function requireFunction(what: string, name: string, value: unknown, expected = "a function"): void {
  if (typeof value !== "function") throw wrongKind(what, name, value, expected);
}

/** Throws a TypeError unless `value` is an array. */
export function requireList(what: string, name: string, value: unknown, expected = "an array"): void {
  if (!Array.isArray(value)) throw wrongKind(what, name, value, expected);
}

/** Throws a TypeError unless `value` is an object with keys, and no list, map or promise. */
export function requireObject(what: string, name: string, value: unknown, expected = "an object"): void {
  if (Object.prototype.toString.call(value) !== "[object Object]" || isPromise(value)) {
    throw wrongKind(what, name, value, expected);
  }
}

/** Throws a TypeError unless `value` is a text. */
export function requireText(what: string, name: string, value: unknown, expected = "a text"): void {
  if (typeof value !== "string") throw wrongKind(what, name, value, expected);
}

/** Throws a TypeError unless `value` is a Uint8Array. */
export function requireBytes(what: string, name: string, value: unknown): void {
  if (value instanceof Uint8Array) return;
  throw wrongKind(what, name, value, "a Uint8Array, as Deno.readFile or new Uint8Array(buffer) gives");
}
