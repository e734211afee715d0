/** Calls that run one after another, in the order in which they were made. */
import { giveTurn, turnClock } from "../pause.ts";

const nothing = () => {};

/** The calls of one stream. */
export interface CallQueue {
  /** How many calls are not done. */
  readonly waiting: number;
  /** Runs a call after those before it; a turn of the event loop is given first if one is due. */
  later<T>(call: () => Promise<T>): Promise<T>;
  /** The result of a call that is done already; it is received after a turn of the event loop if one is due. */
  done<T>(result: T): Promise<T>;
}

/** @param whenIdle Called each time the last of the waiting calls is done. */
export function callQueue(whenIdle: () => void): CallQueue {
  const isTurnDue = turnClock();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  const enqueue = <T>(call: () => Promise<T>): Promise<T> => {
    waiting++;
    const result = last.then(call).finally(() => {
      if (--waiting === 0) whenIdle();
    });
    last = result.then(nothing, nothing); // the result is not kept, and an error is reported to the caller of that call
    return result;
  };
  return {
    get waiting() {
      return waiting;
    },
    later: (call) =>
      enqueue(async () => {
        if (isTurnDue()) await giveTurn();
        return await call();
      }),
    done: (result) => isTurnDue() ? enqueue(() => giveTurn().then(() => result)) : Promise.resolve(result),
  };
}
