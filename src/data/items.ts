/**
 * Reading items, such as batches, from iterables: asynchronous ones ahead of their use, but never far, and all
 * are closed when the reading ends. Nothing here knows what the items are.
 */

/** Items one after the other, at once or when they are there. */
export type Items<Item> = Iterable<Item> | AsyncIterable<Item>;

/**
 * Where items come from: an iterable, or a function that gives one for each epoch, counted from 0. An iterator
 * or generator is an iterable that can be read only once.
 */
export type DataSource<Item> = Items<Item> | ((epoch: number) => Items<Item> | Promise<Items<Item>>);

/** Whether a value is an iterable of items: not a text or a typed array, which is one of characters or numbers. */
export function isItems(value: unknown): value is Items<unknown> {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value) &&
    (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** The number of items, if an iterable says so by a `length`, as arrays do. */
export function lengthOf(source: DataSource<unknown>): number | undefined {
  if (typeof source === "function" || !("length" in source)) return undefined;
  return typeof source.length === "number" ? source.length : undefined;
}

/** Reads items, one after the other. */
export interface Reader<Item> {
  /** The next item; done at the end, and once the signal is aborted, even while an item is being waited for. */
  next(): Promise<IteratorResult<Item, unknown>>;
  /** Lets the iterable release what it holds, unless it has ended. No item is read afterwards. */
  close(): Promise<void>;
}

/** How many items of an asynchronous iterable are asked for before they are needed. */
const AHEAD = 2;

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

/** A reader that begins at the first item. */
export function readerOf<Item>(items: Items<Item>, signal?: AbortSignal): Reader<Item> {
  return Symbol.asyncIterator in items
    ? readAhead(items[Symbol.asyncIterator](), signal)
    : readInTurn(items[Symbol.iterator]());
}

/** Items that are there at once are made when they are needed: nothing else could happen meanwhile. */
function readInTurn<Item>(iterator: Iterator<Item>): Reader<Item> {
  let open = true;
  return {
    // deno-lint-ignore require-await -- an error of the iterator becomes a rejection
    async next() {
      if (!open) return DONE;
      open = false; // if this throws, the iterator has ended
      const result = iterator.next();
      open = !result.done;
      return result;
    },
    // deno-lint-ignore require-await -- as above
    async close() {
      if (open) iterator.return?.();
      open = false;
    },
  };
}

function readAhead<Item>(iterator: AsyncIterator<Item>, signal: AbortSignal | undefined): Reader<Item> {
  const asked: Promise<IteratorResult<Item, unknown>>[] = [];
  let open = true;
  let reading = 0;
  let before: Promise<unknown> = Promise.resolve();
  /** One item is read after the other: not every iterator can be asked for several. */
  const ask = async (previous: Promise<unknown>): Promise<IteratorResult<Item, unknown>> => {
    await previous;
    if (!open) return DONE;
    reading++;
    try {
      const result = await iterator.next();
      if (result.done) open = false;
      return result;
    } catch (error) {
      open = false;
      throw error;
    } finally {
      reading--;
    }
  };
  const askAhead = () => {
    while (open && asked.length < AHEAD) {
      const next = ask(before);
      before = next.catch(() => {}); // the error is that of the call that is given this item
      asked.push(next);
    }
  };
  return {
    async next() {
      askAhead();
      const next = asked.shift();
      if (!next) return DONE;
      askAhead();
      return await orAborted(next, signal) ?? DONE;
    },
    async close() {
      asked.length = 0;
      if (!open) return;
      open = false;
      const closing = iterator.return?.();
      // An item that is still awaited may never come: whoever aborts does not wait for it.
      if (closing) await (reading === 0 ? closing : orAborted(closing, signal));
    },
  };
}

/** The result of a promise; undefined once the signal is aborted. */
async function orAborted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result | undefined> {
  if (!signal) return await promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return undefined;
  }
  let stop = () => {};
  const aborted = new Promise<undefined>((resolve) => stop = () => resolve(undefined));
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Items in groups of `size`, the last of which may be smaller. */
export function groupsOf<Item>(items: Items<Item>, size: number): Items<Item[]> {
  return Symbol.asyncIterator in items ? groupAhead(items, size) : groupInTurn(items, size);
}

function* groupInTurn<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let group: Item[] = [];
  try {
    for (const item of items) {
      group.push(item);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
  } catch (cause) {
    throw unreadable(group.length, cause);
  }
  if (group.length > 0) yield group;
}

async function* groupAhead<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let group: Item[] = [];
  try {
    for await (const item of items) {
      group.push(item);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
  } catch (cause) {
    throw unreadable(group.length, cause);
  }
  if (group.length > 0) yield group;
}

function unreadable(sample: number, cause: unknown): Error {
  return new Error(`sample ${sample} cannot be read: ${cause instanceof Error ? cause.message : cause}`, {
    cause,
  });
}
