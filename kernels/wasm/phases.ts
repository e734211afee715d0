/**
 * How threads share a kernel: as wasm functions that the code of a call runs between its parts. A call is a sequence of
 * phases, and each phase has so many shares of work. What the shares are is fixed when the code is emitted, and so is
 * what is added up in which order; who computes a share is not. A thread claims its own shares first; once those of
 * another have waited for a while it claims them too, so that nobody waits for a thread that the machine has no
 * processor for, that is still starting, or that is gone. A phase ends when all its shares are computed.
 *
 * Claims are bits of one 64-bit word whose other half counts phases, so that whoever comes too late, by a phase or by
 * many calls, finds nothing to claim. How calls are told to threads is in `threads.ts`.
 */
import { type FunctionBuilder, i32, i64, type Local, type ModuleBuilder } from "./assembler.ts";
import { PHASES, POISON } from "./worker_source.ts";

/** The most shares of a phase: the bits of a word. */
export const MOST_SHARES = 32;

/**
 * How often the word is read before a thread takes over another's share: about 0.05 ms. Threads that were asleep take
 * that long to wake, and a share that is taken over is not computed where its data is.
 */
const SPINS_BEFORE_HELPING = 50_000;

/**
 * How often the word is read before a thread goes to sleep: about 0.3 ms. One thread's rows may take that much longer
 * than another's, and who sleeps takes 0.1 ms to wake.
 */
const SPINS = 300_000;

/** A thread that sleeps looks around after so many nanoseconds. */
const SLICE = 1_000_000_000n;

/** What a thread is told that claims a share: that the phase is over, or that it has waited for one slice. */
const OVER = -1, LEAVE = -2;

/** How threads wait. */
export interface PhasesOptions {
  /** Byte address of the words of {@linkcode PHASES}, a multiple of 64. */
  readonly address: number;
  /** How many shares a phase has that threads share. */
  readonly shares: number;
  /**
   * Whether the calling thread, thread 0, may block. The main thread of a browser may not: then it spins.
   * @default true
   */
  readonly mayWait?: boolean;
  /**
   * After so many seconds in which a share that somebody has claimed is not computed, that thread is held to be gone.
   * About so many where the caller only spins, as wasm has no clock.
   * @default 600
   */
  readonly limitSeconds?: number;
}

/** Writes the phases of a call. */
export interface Phases {
  /** The parameters of a function with phases: its first ones. */
  readonly params: readonly (typeof i32)[];
  /** A phase with all shares, or with one; `work` computes the share whose number is in the local. */
  phase(kind: "shared" | "alone", work: (share: Local) => void): void;
}

/** Parameters of every function with phases: the thread, the bits of its own shares, the number of the first phase. */
const THREAD = 0, MINE = 1, PHASE = 2;

/**
 * Adds what phases need to a module, and gives what writes them into functions whose first parameters are
 * `(thread, mine, phase)`. They give 0 once all phases are over, and 1 to a worker that has waited for long: it may look
 * around, and call again with the same arguments.
 */
export function addPhases(module: ModuleBuilder, options: PhasesOptions): (into: FunctionBuilder) => Phases {
  const claim = addClaim(module, options);
  const finish = addFinish(module, options.address);
  return (f) => ({
    params: [i32, i32, i32],
    phase(kind, work) {
      const share = f.local(i32);
      const shares = kind === "alone" ? 1 : options.shares;
      f.block(() => {
        f.loop(() => {
          f.get(THREAD).get(MINE).get(PHASE).i32(allOf(shares)).call(claim).tee(share);
          f.i32(0).op("i32.lt_s").if(() => {
            f.get(share).i32(LEAVE).op("i32.eq").if(() => f.i32(1).op("return"));
            f.br(2);
          });
          work(share);
          f.get(PHASE).i32(shares).call(finish).br(0);
        });
      });
      f.get(PHASE).i32(1).op("i32.add").set(PHASE);
    },
  });
}

/** The bits of so many shares, as i32. */
function allOf(shares: number): number {
  return shares >= MOST_SHARES ? -1 : 2 ** shares - 1;
}

/** The bits of the shares that `thread` of `threads` claims first: every so-manieth. */
export function sharesOf(thread: number, threads: number): number {
  let bits = 0;
  for (let share = thread; share < MOST_SHARES; share += threads) bits |= 1 << share;
  return bits;
}

/** `claim(thread, mine, phase, all)`: the share that is now this thread's, or that there is none. */
function addClaim(
  module: ModuleBuilder,
  { address, mayWait = true, limitSeconds = 600 }: PhasesOptions,
): FunctionBuilder {
  const f = module.addFunction("claim", [i32, i32, i32, i32], [i32]);
  const all = 3;
  const ticket = f.local(i64), free = f.local(i32), bit = f.local(i32), spins = f.local(i32);
  const waits = f.local(i32), given = f.local(i32);
  const at = (offset: number) => f.i32(address + offset);
  const giveUp = () => {
    at(PHASES.poison).i32(POISON.timedOut).memory("i32.atomic.store");
    at(PHASES.ticket + 4).i32(-1).memory("memory.atomic.notify").op("drop").op("unreachable");
  };
  /** Waits of thread 0 end the call after the limit; a worker, which holds no share here, may just leave. */
  const countWaits = (limit: number) => {
    f.get(THREAD).if(() => f.i32(LEAVE).op("return"));
    f.get(waits).i32(1).op("i32.add").tee(waits).i32(limit).op("i32.ge_s").if(giveUp);
  };
  const sleep = () => {
    at(PHASES.sleepers).i32(1).memory("i32.atomic.rmw.add").op("drop");
    const slice = BigInt(Math.round(Math.min(1, limitSeconds) * Number(SLICE)));
    at(PHASES.ticket + 4).get(PHASE).i64(slice).memory("memory.atomic.wait32").set(given);
    at(PHASES.sleepers).i32(-1).memory("i32.atomic.rmw.add").op("drop");
    f.get(given).i32(2).op("i32.eq").if(() => countWaits(Math.ceil(limitSeconds)));
  };
  const spinOn = () => {
    f.i32(0).set(spins);
    countWaits(Math.ceil(limitSeconds * 1e9 / SPINS));
  };

  f.loop(() => {
    at(PHASES.poison).memory("i32.atomic.load").if(() => f.op("unreachable"));
    at(PHASES.ticket).memory("i64.atomic.load").tee(ticket);
    f.i64(32n).op("i64.shr_u").op("i32.wrap_i64").get(PHASE).op("i32.ne").if(() => f.i32(OVER).op("return"));
    f.get(ticket).op("i32.wrap_i64").i32(-1).op("i32.xor").get(all).op("i32.and").set(free);
    f.get(free).if(
      () => {
        // One's own, else what was late before, else what nobody has come for.
        f.get(free).get(MINE).op("i32.and").tee(bit).op("i32.eqz").if(() => {
          at(PHASES.late).memory("i32.atomic.load").get(free).op("i32.and").tee(bit).op("i32.eqz").if(() => {
            f.get(spins).i32(SPINS_BEFORE_HELPING).op("i32.ge_s").if(() => {
              at(PHASES.late).get(free).tee(bit).memory("i32.atomic.rmw.or").op("drop");
            });
          });
        });
        f.get(bit).if(() => {
          f.get(bit).i32(0).get(bit).op("i32.sub").op("i32.and").set(bit); // the lowest
          at(PHASES.ticket).get(ticket).get(ticket).get(bit).op("i64.extend_i32_u").op("i64.or");
          f.memory("i64.atomic.rmw.cmpxchg").get(ticket).op("i64.eq").if(() => {
            // Who comes for its own is late no more.
            f.get(bit).get(MINE).op("i32.and").if(() => {
              at(PHASES.late).memory("i32.atomic.load").get(MINE).op("i32.and").if(() => {
                at(PHASES.late).get(MINE).i32(-1).op("i32.xor").memory("i32.atomic.rmw.and").op("drop");
              });
            });
            f.get(bit).op("i32.ctz").op("return");
          });
          f.br(2); // somebody else was first
        });
      },
      () => {
        f.get(spins).i32(SPINS).op("i32.ge_s").if(() => {
          if (mayWait) sleep();
          else f.get(THREAD).if(sleep, spinOn);
        });
      },
    );
    f.get(spins).i32(1).op("i32.add").set(spins).br(0);
  });
  f.op("unreachable");
  return f;
}

/** `finish(phase, shares)`: one share more is computed; the last one begins the next phase. */
function addFinish(module: ModuleBuilder, address: number): FunctionBuilder {
  const f = module.addFunction("finish", [i32, i32]);
  const [phase, shares] = [0, 1];
  const at = (offset: number) => f.i32(address + offset);
  at(PHASES.done).i32(1).memory("i32.atomic.rmw.add").i32(1).op("i32.add").get(shares).op("i32.eq").if(() => {
    at(PHASES.done).i32(0).memory("i32.atomic.store");
    at(PHASES.ticket).get(phase).i32(1).op("i32.add").op("i64.extend_i32_u").i64(32n).op("i64.shl");
    f.memory("i64.atomic.store");
    // A notification costs more than all the rest.
    at(PHASES.sleepers).memory("i32.atomic.load").if(() => {
      at(PHASES.ticket + 4).i32(-1).memory("memory.atomic.notify").op("drop");
    });
  });
  return f;
}
