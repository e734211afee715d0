/**
 * Giving others their turn: what is awaited but computed on this thread (a prediction, a validation, the steps of a
 * stream) keeps timers, sockets and abort signals waiting until it pauses. A promise alone is no pause, for its
 * reactions come before anything else; a task is.
 */

/** Everybody else gets a turn at least once in so many milliseconds, unless a single call takes longer. */
const TURN_EVERY = 50;

/** Calls that together take less than so many milliseconds need not read the clock each time. */
const LOOK_EVERY = 5;

/** No more than so many calls go by without a look at the clock, in case that they become slower. */
const MOST_UNSEEN = 16;

/** Waits for one turn of the event loop. */
const nextTurn: () => Promise<void> = turnsOf(globalThis as Host);

/** When everybody else had their last turn, whoever gave it: there is one thread, and one event loop. */
let lastTurn = performance.now();

/**
 * A clock for one kind of call, asked after each: whether a turn is due. Reading the time can take a third of a short
 * call, so where calls are short it is read every few of them.
 */
export function turnClock(): () => boolean {
  let unseen = 0, every = 1;
  let lookedAt = lastTurn;
  return () => {
    if (++unseen < every) return false;
    const now = performance.now();
    every = now - lookedAt < LOOK_EVERY ? Math.min(2 * every, MOST_UNSEEN) : 1;
    unseen = 0;
    lookedAt = now;
    return now - lastTurn >= TURN_EVERY;
  };
}

/** Lets everybody else have their turn. */
export async function giveTurn(): Promise<void> {
  await nextTurn();
  lastTurn = performance.now();
}

/** What a runtime may have to make a task with. */
export interface Host {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly MessageChannel?: typeof MessageChannel;
}

/**
 * How a turn is waited for: browsers delay nested timers by 4 ms and more, and those of a page that is not looked at by
 * seconds; messages and `setImmediate` they do not. Not by `scheduler.yield`: who yields comes before the timers that
 * wait, so they would never fire.
 */
export function turnsOf({ setImmediate, MessageChannel }: Host): () => Promise<void> {
  if (setImmediate) return () => new Promise((resolve) => void setImmediate(resolve));
  if (!MessageChannel) return () => new Promise((resolve) => void setTimeout(resolve));
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
