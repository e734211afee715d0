/**
 * How many of the available threads take part in the calls of a kernel: as many as make it fastest here and
 * now, which is measured. A machine may have fewer idle processors than processors: other programs are busy,
 * or a container has a quota. Results do not depend on this number, as the shares stay the same.
 *
 * Now and then a few calls run with half or twice as many threads. If they are faster, that becomes the
 * number. The extra cost of trials is at most a fiftieth of the total time.
 */

/**
 * How many consecutive calls are timed, usually and in a trial; their median is the time of a number of
 * threads.
 */
const CALLS = 5, TRIAL_CALLS = 3;

/** Trials may cost one part in this many of the time. */
const SHARE_OF_TRIALS = 50;

/** Calls between trials: at first, and at most. */
const FIRST_PAUSE = 8, LONGEST_PAUSE = 4096;

/**
 * Half the threads win if their time is below this fraction, and leave processors to others; twice as many
 * win below this.
 */
const FEWER_FROM = 0.95, MORE_FROM = 0.85;

/** How much slower than before a number of threads must be to start a trial at once. */
const SUSPICIOUS = 1.5;

/** What is known about the calls of one kernel. */
export interface Crew {
  /** The threads that take part in the next call. */
  readonly threads: number;
  /** Records that the last call took this many milliseconds. */
  took(milliseconds: number): void;
}

/** The crew of a kernel that at most `most` threads can share. */
export function createCrew(most: number): Crew {
  let settled = most;
  let tried: number | undefined;
  let direction: "fewer" | "more" = "fewer";
  let times: number[] = [];
  /** The median of the calls before the trial, and the lowest median so far. */
  let usual = Infinity, best = Infinity;
  let calls = 0, pause = FIRST_PAUSE;
  /** Milliseconds of calls still to run until the last trial is paid off. */
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
