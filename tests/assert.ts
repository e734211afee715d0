/**
 * The part of `@std/assert` that the tests use, over `node:assert`.
 *
 * JSR is not reachable from every build machine; CONTRIBUTING.md says which line of `deno.json` swaps the
 * real package in.
 */
import assertModule from "node:assert/strict";

/** Fails unless `condition` is truthy. */
export function assert(condition: unknown, message?: string): asserts condition {
  assertModule.ok(condition, message);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assertModule.deepStrictEqual(actual, expected, message);
}

/** Fails unless `actual` lies within `tolerance` of `expected`. */
export function assertAlmostEquals(actual: number, expected: number, tolerance = 1e-7): void {
  if (Object.is(actual, expected)) return;
  assertModule.ok(
    Math.abs(actual - expected) <= tolerance,
    `Expected actual: ${actual} to be close to expected: ${expected}, tolerance ${tolerance}`,
  );
}

/** Fails unless `text` contains `part`. */
export function assertStringIncludes(text: string, part: string, message?: string): void {
  assertModule.ok(
    text.includes(part),
    message ?? `Expected text to contain ${JSON.stringify(part)}: ${text}`,
  );
}

/** Fails unless `text` matches `pattern`. */
export function assertMatch(text: string, pattern: RegExp): void {
  assertModule.match(text, pattern);
}

// deno-lint-ignore no-explicit-any -- the constructor's parameters do not matter to `instanceof`
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

function assertIsError<E extends Error>(error: unknown, errorClass?: ErrorClass<E>, part?: string): E {
  assertModule.ok(error instanceof Error, `Expected an Error, got ${error}`);
  if (errorClass) {
    assertModule.ok(
      error instanceof errorClass,
      `Expected ${errorClass.name}, got ${error.name}: ${error.message}`,
    );
  }
  if (part !== undefined) assertStringIncludes(error.message, part);
  return error as E; // checked above where a class was given
}

/** Fails unless `run` throws an `errorClass` whose message contains `part`; returns what was thrown. */
export function assertThrows<E extends Error = Error>(
  run: () => unknown,
  errorClass?: ErrorClass<E>,
  part?: string,
): E {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  assertModule.ok(thrown !== undefined, "Expected the function to throw");
  return assertIsError(thrown, errorClass, part);
}

/** Fails unless `run` rejects with an `errorClass` whose message contains `part`; returns what it rejected with. */
export async function assertRejects<E extends Error = Error>(
  run: () => Promise<unknown>,
  errorClass?: ErrorClass<E>,
  part?: string,
): Promise<E> {
  let thrown: unknown;
  try {
    await run();
  } catch (error) {
    thrown = error;
  }
  assertModule.ok(thrown !== undefined, "Expected the promise to reject");
  return assertIsError(thrown, errorClass, part);
}
