/**
 * Yielding to other tasks: awaited work that is computed on this thread (a prediction, a validation, the
 * steps of a stream) blocks timers, sockets and abort signals until it pauses. Awaiting a promise is not a
 * pause, as its reactions run before anything else; a task is.
 */

/** Other tasks get a turn at least once in this many milliseconds, unless a single call takes longer. */
const TURN_MILLISECONDS = 50;

/** Calls that together take less than this many milliseconds need not read the clock each time. */
const LOOK_MILLISECONDS = 5;

/** At most this many calls run without reading the clock, in case they become slower. */
const MOST_UNSEEN = 16;

/** Waits for one turn of the event loop. */
const nextTurn: () => Promise<void> = turnsOf(globalThis as Host);

/** Milliseconds; an audio worklet has no `performance`. */
const now = (): number => (globalThis.performance ?? Date).now();

/** When other tasks last had a turn, whatever code yielded: there is one thread and one event loop. */
let lastTurn = now();

/**
 * A clock for one kind of call, asked after each call whether a turn is due. Reading the time can take a
 * third of a short call, so for short calls it is read only once every few calls.
 */
export function turnClock(): () => boolean {
  let unseen = 0, every = 1;
  let lookedAt = lastTurn;
  return () => {
    if (++unseen < every) return false;
    const time = now();
    every = time - lookedAt < LOOK_MILLISECONDS ? Math.min(2 * every, MOST_UNSEEN) : 1;
    unseen = 0;
    lookedAt = time;
    return time - lastTurn >= TURN_MILLISECONDS;
  };
}

/** Yields to all other tasks. */
export async function giveTurn(): Promise<void> {
  await nextTurn();
  lastTurn = now();
}

/** The means that a runtime may have for making a task. */
export interface Host {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly MessageChannel?: typeof MessageChannel;
  readonly setTimeout?: (task: () => void) => unknown;
}

/**
 * How to wait for a turn: browsers delay nested timers by 4 ms and more, and those of a background page by
 * seconds, but not messages and `setImmediate`. Not by `scheduler.yield`: its continuations run before
 * waiting timers, which would never fire. An audio worklet has no means: its tasks wait.
 */
export function turnsOf({ setImmediate, MessageChannel, setTimeout }: Host): () => Promise<void> {
  if (setImmediate) return () => new Promise((resolve) => void setImmediate(resolve));
  if (!MessageChannel) {
    return () => setTimeout ? new Promise((resolve) => void setTimeout(resolve)) : Promise.resolve();
  }
  return () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close(); // an open port keeps a process alive
        port2.close();
        resolve();
      };
      port2.postMessage(undefined);
    });
}
