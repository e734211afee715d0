/**
 * What `fit`, `evaluate` and `predict` read batches from, if they are not cut from data in memory: an iterable
 * for each epoch, whose batches are checked one by one.
 */
import { wrongKind } from "../describe.ts";
import { type DataSource, groupsOf, isItems, lengthOf, type Reader, readerOf } from "../data/items.ts";
import { stackSamples } from "../data/stack.ts";
import { unknownName } from "../known_names.ts";
import { isTensor } from "../tensor/tensor.ts";
import { BatchError, type BatchPlace } from "./batch_error.ts";

/** What an iterable gives: batches, or samples that are gathered into batches. */
export type ItemKind = "batches" | "samples";

const KINDS: readonly ItemKind[] = ["batches", "samples"];

/** How batches are read. */
export interface FeedOptions<Item, Prepared> {
  readonly use: BatchPlace["use"];
  /** How many samples to gather for a batch; undefined if the items are batches. */
  readonly batchSize: number | undefined;
  /** How many batches make an epoch; default: all that the iterable gives. */
  readonly steps?: number;
  readonly signal: AbortSignal | undefined;
  /** Checks a batch, and prepares what is needed to use it. */
  readonly prepare: (batch: Item) => Prepared;
}

/** Batches for several epochs. */
export interface Feed<Prepared> {
  /** The batches of an epoch, if their number is known. */
  readonly steps: number | undefined;
  /** How many samples are gathered for a batch; undefined if the iterable gives batches. */
  readonly batchSize: number | undefined;
  /**
   * The first batch of the first epoch, before that is read; undefined if the signal was aborted before.
   *
   * @throws What `prepare` throws, as for data in memory; BatchError if there is no batch.
   */
  peek(epoch: number): Promise<Prepared | undefined>;
  /**
   * The batches of an epoch, without the first ones if an earlier run used them: those are read and dropped.
   * They end early once the signal is aborted.
   *
   * @throws BatchError naming the batch.
   */
  epoch(epoch: number, first?: number): AsyncGenerator<Prepared>;
  /** Closes what is still open. */
  close(): Promise<void>;
}

/**
 * Whether data is given in parts: by an iterable, or by a function that gives one. An array of tensors is not:
 * it is one batch, even if it lacks its keys.
 */
export function isSource<Item>(data: unknown): data is DataSource<Item> {
  return typeof data === "function" || isItems(data) && !(Array.isArray(data) && data.some(isTensor));
}

/** Throws a RangeError unless `items` is what an iterable can give. */
export function checkItemKind(items: unknown): void {
  if (items !== undefined && !KINDS.some((kind) => kind === items)) throw unknownName("items", items, KINDS);
}

/** The batches of a source. */
export function createFeed<Item, Prepared>(
  source: DataSource<Item>,
  { use, batchSize, steps, signal, prepare }: FeedOptions<Item, Prepared>,
): Feed<Prepared> {
  const length = lengthOf(source);
  const known = steps ??
    (length !== undefined && batchSize !== undefined ? Math.ceil(length / batchSize) : length);
  /** With a number of steps, an iterable is read on in the next epoch. */
  const readsOn = steps !== undefined && typeof source !== "function";
  let reader: Reader<Item | Item[]> | undefined;
  let peeked: Prepared | undefined;
  /** The epoch that the reader was opened for, and how many of its batches were used. */
  let [begun, used] = [0, 0];
  /** The batch that is read or used. */
  let at: BatchPlace = { epoch: 0, batch: 0, use };

  const open = async (epoch: number): Promise<Reader<Item | Item[]>> => {
    [begun, used] = [epoch, 0];
    try {
      const items = typeof source === "function" ? await source(epoch) : source;
      if (!isItems(items)) {
        const expected = "an iterable or async iterable; for an iterator, give the object that makes it";
        throw wrongKind(`read batches for ${use}`, items, "what the function gave", expected);
      }
      return readerOf<Item | Item[]>(batchSize === undefined ? items : groupsOf(items, batchSize), signal);
    } catch (cause) {
      throw new BatchError(cause, { epoch, batch: 0, use });
    }
  };
  const close = async () => {
    const closing = reader;
    [reader, peeked] = [undefined, undefined];
    try {
      await closing?.close();
    } catch (cause) {
      throw new BatchError(cause, at);
    }
  };

  /** The next item; undefined at the end and once the signal is aborted. */
  const read = async (
    reader: Reader<Item | Item[]>,
    place: BatchPlace,
  ): Promise<{ item: Item } | undefined> => {
    const { batch } = place;
    try {
      const result = await reader.next();
      if (signal?.aborted) return undefined;
      if (!result.done) {
        const { value } = result;
        return { item: batchSize === undefined ? value as Item : stackSamples(value as Item[]) }; // groups if so
      }
      if (steps !== undefined) {
        throw new RangeError(
          `the iterable has ended after ${batch} batches, expected ${steps} (stepsPerEpoch)` +
            (readsOn ? "; without stepsPerEpoch, an epoch has all that it gives" : ""),
        );
      }
      if (batch > 0) return undefined;
      throw new RangeError(
        `the iterable gave nothing, expected at least one batch` +
          (place.epoch > 0
            ? "; an iterator can be read only once: give a function that makes one per epoch"
            : ""),
      );
    } catch (cause) {
      throw new BatchError(cause, place);
    }
  };

  return {
    steps: known,
    batchSize,
    async peek(epoch) {
      reader = await open(epoch);
      const found = await read(reader, { epoch, batch: 0, use });
      return found && (peeked = prepare(found.item));
    },
    async *epoch(epoch, first = 0) {
      if (reader && typeof source === "function" && begun !== epoch) await close(); // opened to peek
      reader ??= await open(epoch);
      let goesOn = false;
      try {
        for (const from = (readsOn ? (epoch - begun) * steps : 0) + first; used < from; used++) {
          const place = { epoch, batch: used, use };
          if (!peeked && !await read(reader, place)) return;
          peeked = undefined;
        }
        for (let batch = first; steps === undefined || batch < steps; batch++) {
          const place = at = { epoch, batch, use };
          let prepared = peeked;
          if (!prepared) {
            const found = await read(reader, place);
            if (!found) return;
            try {
              prepared = prepare(found.item);
            } catch (cause) {
              throw new BatchError(cause, place);
            }
          }
          peeked = undefined;
          used++;
          yield prepared;
        }
        goesOn = readsOn;
      } catch (error) {
        await close().catch(() => {}); // the first error is the one to report
        throw error;
      } finally {
        if (!goesOn) await close();
      }
    },
    close,
  };
}
