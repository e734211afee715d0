/** What comes true a moment later: once what was being compiled is there, and is dropped. */

/** Reads until the value is `expected`, at most a minute; returns the last that was read. */
export async function eventually<T>(read: () => T, expected: T): Promise<T> {
  const until = performance.now() + 60_000;
  let value = read();
  while (value !== expected && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    value = read();
  }
  return value;
}
