/** How `console.log` shows an object: one hook, which both Deno and Node call. */

/** The name of the hook, a method of the object that is shown. */
export const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/**
 * A hook that prints what it is called on.
 *
 * @param print Gets the levels of nesting that would still be opened: 2 or more for an object shown by itself.
 */
export function hookOf<T>(print: (value: T, depth: number) => string): (this: T, depth?: number) => string {
  return function (depth) {
    return print(this, depth ?? Infinity);
  };
}
