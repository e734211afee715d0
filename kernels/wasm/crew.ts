/**
 * How many of the threads there are take part in the calls of a kernel: as many as make them fast here and now, which
 * is measured. A machine may have fewer processors to spare than it has: other programs are busy, or a container has a
 * quota. Results do not depend on it, as shares do not.
 *
 * Now and then some calls are made with half or twice as many threads. Where they were faster, that is the number from
 * then on. What trials cost beyond other calls is at most a fiftieth of the time of all.
 */

/** So many calls in a row say how fast a number of threads is: their median. */
const CALLS = 5, TRIAL_CALLS = 3;

/** Trials may cost one part in so many of the time. */
const SHARE_OF_TRIALS = 50;

/** Calls between trials: at first, and at most. */
const FIRST_PAUSE = 8, LONGEST_PAUSE = 4096;

/** Fewer threads are taken where they are hardly slower, as they leave processors to others; more where that pays. */
const FEWER_FROM = 0.95, MORE_FROM = 0.85;

/** So much slower than it was, a number of threads is doubted at once. */
const SUSPICIOUS = 1.5;

/** What is known about the calls of one kernel. */
export interface Crew {
  /** The threads that take part in the next call. */
  readonly threads: number;
  /** The next call has taken so many milliseconds. */
  took(milliseconds: number): void;
}

/** The crew of a kernel that at most so many threads can share. */
export function createCrew(most: number): Crew {
  let settled = most;
  let tried: number | undefined;
  let direction: "fewer" | "more" = "fewer";
  let times: number[] = [];
  /** The median of the calls before the trial, and the least there was. */
  let usual = Infinity, best = Infinity;
  let calls = 0, pause = FIRST_PAUSE;
  /** Milliseconds to go before the last trial is paid for. */
  let debt = 0;

  const settle = (threads: number, median: number) => {
    settled = threads;
    usual = best = median;
    pause = FIRST_PAUSE;
    debt = 0;
  };
  const judge = (threads: number, median: number) => {
    const pays = median <= usual * (threads < settled ? FEWER_FROM : MORE_FROM);
    if (pays) settle(threads, median);
    else {
      debt = Math.max(0, median - usual) * TRIAL_CALLS * SHARE_OF_TRIALS;
      pause = Math.min(LONGEST_PAUSE, pause * 2);
      direction = direction === "fewer" ? "more" : "fewer";
    }
    tried = undefined;
    calls = 0;
    times = [];
  };
  const next = (): number | undefined => {
    const turn = (way: typeof direction) =>
      way === "fewer" ? Math.ceil(settled / 2) : Math.min(most, settled * 2);
    if (turn(direction) === settled) direction = direction === "fewer" ? "more" : "fewer";
    const threads = turn(direction);
    return threads === settled ? undefined : threads;
  };

  return {
    get threads() {
      return tried ?? settled;
    },
    took(milliseconds) {
      times.push(milliseconds);
      if (tried !== undefined) {
        if (times.length === TRIAL_CALLS) judge(tried, medianOf(times));
        return;
      }
      calls++;
      debt -= milliseconds;
      if (times.length < CALLS) return;
      usual = medianOf(times);
      times.shift();
      const isSuspicious = usual > best * SUSPICIOUS;
      best = isSuspicious ? usual : Math.min(best, usual);
      if (!isSuspicious && (calls < pause || debt > 0)) return;
      if (isSuspicious) direction = "fewer";
      tried = next();
      times = [];
    },
  };
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
