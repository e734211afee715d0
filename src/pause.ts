/**
 * Giving others their turn: what is awaited but computed on this thread (a prediction, a validation, the steps of a
 * stream) keeps timers, sockets and abort signals waiting until it pauses. A promise alone is no pause, for its
 * reactions come before anything else; a task is.
 */

/** Everybody else gets a turn at least once in so many milliseconds, unless a single call takes longer. */
const PAUSE_EVERY = 50;

/** Waits for one turn of the event loop. */
const nextTurn: () => Promise<void> = turnsOf(globalThis as Host);

/** Pauses of one loop. */
export interface Pauses {
  /** Whether a pause is due. */
  isDue(): boolean;
  /** Lets everybody else have their turn. */
  pause(): Promise<void>;
}

/** Pauses for a loop that begins now. */
export function createPauses(): Pauses {
  let last = performance.now();
  return {
    isDue: () => performance.now() - last >= PAUSE_EVERY,
    pause: async () => {
      await nextTurn();
      last = performance.now();
    },
  };
}

/** What a runtime may have to make a task with. */
export interface Host {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly MessageChannel?: typeof MessageChannel;
}

/** How a turn is waited for: browsers delay nested timers by 4 ms and more, messages and `setImmediate` they do not. */
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
