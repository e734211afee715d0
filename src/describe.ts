/**
 * Describes values in errors: what was given when something else was expected, and checks for JavaScript's
 * own types. Tensors, sizes, layers and trees are checked where they are defined, with the same wording.
 */

/** How many keys of an object are listed. */
const MOST_KEYS = 8;

/** The longest text, key or name that is shown in full. */
const LONGEST = 40;

/**
 * A short description of a value, with the remedy for an obvious mistake: `undefined`, `the number 5`,
 * `an array of 2`, `a Promise (you may have forgotten await)`.
 */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "string":
      return `the text ${JSON.stringify(cut(value))}`;
    case "number":
      return `the number ${value}`;
    case "boolean":
      return String(value);
    case "bigint":
      return `the bigint ${value}`;
    case "symbol":
      return "a symbol";
    case "function":
      return value.name === "" ? "a function" : `the function ${cut(String(value.name))}`;
    case "object":
      return value === null ? "null" : describeObject(value);
  }
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function describeObject(value: object): string {
  if (isPromise(value)) return "a Promise (you may have forgotten await)";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if ("dtype" in value && "shape" in value && Array.isArray(value.shape)) {
    return `a ${"kind" in value ? "tensor" : "spec"} ${asText(value.dtype)}[${
      value.shape.map(asText).join(", ")
    }]`;
  }
  if (ArrayBuffer.isView(value) && "length" in value) return `a ${value.constructor.name} of ${value.length}`;
  if ("type" in value && typeof value.type === "string") {
    if ("apply" in value) return `the layer ${cut(value.type)}`;
    if ("step" in value) return `the cell ${cut(value.type)}`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const name = typeof value.constructor === "function" ? value.constructor.name : "";
    return Symbol.asyncIterator in value
      ? "an async iterator"
      : name === ""
      ? "an object of a class"
      : `an object of the class ${name}`;
  }
  // As in trees: sorted, and a key whose value is undefined is absent. A getter may throw, so none is called.
  const keys = Object.entries(Object.getOwnPropertyDescriptors(value)).flatMap(([key, own]) =>
    own.enumerable && (own.get || own.value !== undefined) ? [key] : []
  ).sort();
  const shown = keys.slice(0, MOST_KEYS).map(cut).join(", ") + (keys.length > MOST_KEYS ? ", …" : "");
  return keys.length === 0 ? "an empty object" : `an object with the keys {${shown}}`;
}

/** A dtype, or a size that is a number or open, as text; anything else in its place is not inspected. */
function asText(part: unknown): string {
  const isOpen = typeof part === "object" && part !== null && Object.hasOwn(part, "toString");
  return typeof part === "string" || typeof part === "number" || isOpen ? String(part) : "?";
}

/** Whether a value can be awaited. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/**
 * The error for an argument of the wrong kind.
 *
 * @param what What cannot be done, such as `compute add`.
 * @param name The name of the argument, such as `x` or `the key`.
 * @param expected What is accepted instead, and how to make it.
 */
export function wrongKind(what: string, value: unknown, name: string, expected: string): TypeError {
  return new TypeError(`Cannot ${what}: ${name} is ${describeValue(value)}, expected ${expected}`);
}

/**
 * Throws a TypeError unless `value` is a function.
 *
 * @param what What cannot be done, such as `compile`.
 */
export function checkFunction(what: string, value: unknown, name = "fn"): void {
  if (typeof value !== "function") throw wrongKind(what, value, name, "a function");
}

/** Throws a TypeError unless `value` is an array. */
export function checkList(
  what: string,
  value: unknown,
  name: string,
  expected = "an array",
): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw wrongKind(what, value, name, expected);
}

/** Whether `value` has keys and is not an array, map, promise or the like. */
export function isObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null || isPromise(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || Object.prototype.toString.call(value) === "[object Object]";
}

/** Throws a TypeError unless `value` has keys and is not an array, map, promise or the like. */
export function checkObject(what: string, value: unknown, name: string, expected = "an object"): void {
  if (!isObject(value)) throw wrongKind(what, value, name, expected);
}

/** Throws a TypeError unless `value` is a string. */
export function checkText(what: string, value: unknown, name: string, expected = "a text"): void {
  if (typeof value !== "string") throw wrongKind(what, value, name, expected);
}

/** Throws unless `value` is a path: TypeError if it is no text, RangeError if it is empty. */
export function checkPath(what: string, value: unknown, name: string, expected: string): void {
  checkText(what, value, name, expected);
  if (value === "") throw new RangeError(`Cannot ${what}: ${name} is empty, expected ${expected}`);
}

/** Throws a TypeError unless `value` is a Uint8Array. */
export function checkBytes(what: string, value: unknown, name = "the file"): void {
  if (value instanceof Uint8Array) return;
  throw wrongKind(what, value, name, "a Uint8Array, as Deno.readFile or new Uint8Array(buffer) gives");
}

/** Throws a RangeError unless `value` is an integer from `least` (default 1) to `most`. */
export function checkCount(what: string, value: unknown, name: string, least = 1, most = Infinity): void {
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return;
  const given = typeof value === "number" ? value : describeValue(value);
  const range = `from ${least}${most === Infinity ? "" : ` to ${most}`}`;
  throw new RangeError(`Cannot ${what}: ${name} is ${given}, expected a whole number ${range}`);
}
