/** Values in the words of errors: what was given where something else was expected. */

/**
 * A value in few words, with the remedy where the mistake is plain: `undefined`, `the number 5`, `an array of 2`,
 * `a Promise; you may have forgotten await`.
 */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "string":
      return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
    case "number":
      return `the number ${value}`;
    case "boolean":
      return String(value);
    case "bigint":
      return `the bigint ${value}`;
    case "symbol":
      return "a symbol";
    case "function":
      return value.name === "" ? "a function" : `the function ${value.name}`;
    case "object":
      return value === null ? "null" : describeObject(value);
  }
}

function describeObject(value: object): string {
  if (isPromise(value)) return "a Promise; you may have forgotten await";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if ("dtype" in value && "shape" in value && Array.isArray(value.shape)) {
    return `a ${"kind" in value ? "tensor" : "spec"} ${String(value.dtype)}[${
      value.shape.map(String).join(", ")
    }]`;
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
  // As trees see it: sorted, and a key without a value is no part.
  const keys = Object.entries(value).flatMap(([key, part]) => part === undefined ? [] : [key]).sort();
  const shown = keys.slice(0, 8).join(", ") + (keys.length > 8 ? ", …" : "");
  return keys.length === 0 ? "an empty object" : `an object with the keys {${shown}}`;
}

/** Whether a value can be awaited. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/**
 * Throws a TypeError unless `value` is a function.
 *
 * @param what What is not possible, such as `compile`.
 */
export function checkFunction(what: string, value: unknown, name = "fn"): void {
  if (typeof value === "function") return;
  throw new TypeError(`Cannot ${what}: ${name} is ${describeValue(value)}, expected a function`);
}
