/** Reading items: in order, ahead but not far, heard and closed. */
import { assertEquals, assertRejects } from "@std/assert";
import { groupsOf, isItems, type Items, readerOf } from "../../src/data/items.ts";

async function all<Item>(items: Items<Item>): Promise<Item[]> {
  const reader = readerOf(items);
  const read: Item[] = [];
  for (;;) {
    const result = await reader.next();
    if (result.done) return read;
    read.push(result.value);
  }
}

async function* later<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) yield await Promise.resolve(item);
}

Deno.test("items come in order, from everything that can be iterated", async () => {
  for (const items of [[1, 2, 3], new Set([1, 2, 3]), later([1, 2, 3]), new Map([[1, 2]]).keys()]) {
    const read: unknown[] = await all<number>(items);
    assertEquals(read, read.length === 1 ? [1] : [1, 2, 3]);
  }
  assertEquals(await all([]), []);
  for (const groups of [groupsOf([1, 2, 3, 4, 5], 2), groupsOf(later([1, 2, 3, 4, 5]), 2)]) {
    assertEquals(await all(groups), [[1, 2], [3, 4], [5]]);
  }
  assertEquals([isItems([]), isItems("ab"), isItems(new Float32Array(2)), isItems({ next: () => 1 })], [
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("an iterator is never asked for two items at a time", async () => {
  let running = 0, most = 0, made = 0;
  const items: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running--;
        return made < 6 ? { done: false, value: made++ } : { done: true, value: undefined };
      },
    }),
  };
  assertEquals(await all(items), [0, 1, 2, 3, 4, 5]);
  assertEquals(most, 1);
});

Deno.test("an error is that of the item that failed, and nothing is read after it", async () => {
  for (const make of [later, <Item>(items: Iterable<Item>) => items]) {
    let asked = 0;
    const reader = readerOf<number>(make((function* () {
      yield ++asked;
      yield ++asked;
      throw new Error("at the third");
    })()));
    assertEquals((await reader.next()).value, 1);
    assertEquals((await reader.next()).value, 2);
    await assertRejects(() => reader.next(), Error, "at the third");
    assertEquals(await reader.next(), { done: true, value: undefined });
    await reader.close();
  }
  for (const items of [later, <Item>(items: Iterable<Item>) => items]) {
    await assertRejects(
      () =>
        all(groupsOf(
          items((function* () {
            yield 1;
            yield 2;
            throw new Error("torn");
          })()),
          3,
        )),
      Error,
      "sample 2 cannot be read: torn",
    );
  }
});

Deno.test("close lets an iterable release what it holds, once, and waits for it", async () => {
  const events: string[] = [];
  const reader = readerOf<number>({
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: false, value: 1 }),
      async return() {
        await new Promise((resolve) => setTimeout(resolve, 5));
        events.push("closed");
        return { done: true, value: undefined };
      },
    }),
  });
  await reader.next();
  await reader.close();
  await reader.close();
  assertEquals(events, ["closed"]);
  assertEquals((await reader.next()).done, true);
});

Deno.test("a signal ends the waiting, also that for an iterable to close", async () => {
  const never = new Promise<never>(() => {});
  const controller = new AbortController();
  const reader = readerOf<number>(
    { [Symbol.asyncIterator]: () => ({ next: () => never, return: () => never }) },
    controller.signal,
  );
  setTimeout(() => controller.abort(), 5);
  assertEquals((await reader.next()).done, true);
  await reader.close();
});
