/**
 * How threads share a kernel: wasm functions that the code of a call runs between its parts. A call is a
 * sequence of phases, and each phase has a number of shares of work. The shares, and with them the order of
 * additions, are fixed when the code is emitted; which thread computes a share is not. A thread claims its
 * own shares first, and claims another's once they have waited for a while, so that no call waits for a
 * thread that the machine has no processor for, that is still starting, or that has ended. A phase ends when
 * all its shares are computed.
 *
 * Claims are bits of one 64-bit word whose other half counts phases, so that a thread that arrives too late,
 * by a phase or by many calls, finds nothing to claim. How threads are notified of calls is in `threads.ts`.
 */
import { type FunctionBuilder, i32, i64, type Local, type ModuleBuilder } from "./assembler.ts";
import { MOST_SHARES } from "./options.ts";
import { PHASES, POISON } from "./worker_source.ts";

/**
 * How often a thread polls before it takes over another's share: about 0.05 ms. Threads that were asleep take
 * that long to wake, and a share that is taken over runs on a processor that does not have its data in cache.
 */
const SPINS_BEFORE_HELPING = 50_000;

/**
 * How often a thread polls before it goes to sleep: about 0.3 ms. One thread's rows may take that much longer
 * than another's, and a sleeping thread takes 0.1 ms to wake.
 */
const SPINS = 300_000;

/** After how many nanoseconds a sleeping thread checks again. */
const SLICE = 1_000_000_000n;

/** What a claim returns if there is no share: the phase is over, or the thread has waited for one slice. */
const OVER = -1, LEAVE = -2;

/** How threads wait. */
export interface PhasesOptions {
  /** Byte address of the words of {@linkcode PHASES}, a multiple of 64. */
  readonly address: number;
  /** How many shares a phase that threads share has. */
  readonly shares: number;
  /**
   * Whether the calling thread, thread 0, may block. The main thread of a browser may not, and spins instead.
   * @default true
   */
  readonly mayWait?: boolean;
  /**
   * After how many seconds a thread that has claimed a share, and not computed it, counts as gone. This is
   * approximate if the calling thread can only spin, as wasm has no clock.
   * @default 600
   */
  readonly limitSeconds?: number;
}

/** Writes the phases of a call. */
export interface Phases {
  /** The parameters that a function with phases starts with. */
  readonly params: readonly (typeof i32)[];
  /**
   * A phase with all shares, or with one; `work` computes the share whose number is in the local. A local
   * decides which, if that depends on the call: 1 for one share.
   */
  phase(kind: "shared" | "single" | { readonly isSingle: Local }, work: (share: Local) => void): void;
}

/**
 * Parameters of every function with phases: the thread, the bits of its own shares, the number of the first
 * phase.
 */
const THREAD = 0, MINE = 1, PHASE = 2;

/**
 * Adds the functions of phases to a module, and returns what writes phases into functions whose first
 * parameters are `(thread, mine, phase)`. These return 0 once all phases are over, and 1 to a worker that has
 * waited for long: it may handle other events, and call again with the same arguments.
 */
export function addPhases(module: ModuleBuilder, options: PhasesOptions): (into: FunctionBuilder) => Phases {
  const claim = addClaim(module, options);
  const finish = addFinish(module, options.address);
  return (f) => ({
    params: [i32, i32, i32],
    phase(kind, work) {
      const share = f.local(i32);
      const pushShares = (single: number, shared: number) => {
        if (typeof kind === "string") f.i32(kind === "single" ? single : shared);
        else f.i32(single).i32(shared).get(kind.isSingle).op("select");
      };
      f.block(() => {
        f.loop(() => {
          f.get(THREAD).get(MINE).get(PHASE);
          pushShares(allOf(1), allOf(options.shares));
          f.call(claim).tee(share);
          f.i32(0).op("i32.lt_s").if(() => {
            f.get(share).i32(LEAVE).op("i32.eq").if(() => f.i32(1).op("return"));
            f.br(2);
          });
          work(share);
          f.get(PHASE);
          pushShares(1, options.shares);
          f.call(finish).br(0);
        });
      });
      f.get(PHASE).i32(1).op("i32.add").set(PHASE);
    },
  });
}

/** The bits of `shares` shares, as i32. */
function allOf(shares: number): number {
  return shares >= MOST_SHARES ? -1 : 2 ** shares - 1;
}

/** The bits of the shares that `thread` of `threads` claims first: every `threads`-th. */
export function sharesOf(thread: number, threads: number): number {
  let bits = 0;
  for (let share = thread; share < MOST_SHARES; share += threads) bits |= 1 << share;
  return bits;
}

/**
 * `claim(thread, mine, phase, all)`: the share that now belongs to this thread, or a negative number if there
 * is none.
 */
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
  /**
   * Waiting beyond the limit ends the call on thread 0; a worker, which holds no share here, simply returns.
   */
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
        // Its own, else those marked late, else, after a while, any that are unclaimed.
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
            // A thread that claims its own share is no longer late.
            f.get(bit).get(MINE).op("i32.and").if(() => {
              at(PHASES.late).memory("i32.atomic.load").get(MINE).op("i32.and").if(() => {
                at(PHASES.late).get(MINE).i32(-1).op("i32.xor").memory("i32.atomic.rmw.and").op("drop");
              });
            });
            f.get(bit).op("i32.ctz").op("return");
          });
          f.br(2); // another thread was first
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

/** `finish(phase, shares)`: counts a computed share; the last one starts the next phase. */
function addFinish(module: ModuleBuilder, address: number): FunctionBuilder {
  const f = module.addFunction("finish", [i32, i32]);
  const [phase, shares] = [0, 1];
  const at = (offset: number) => f.i32(address + offset);
  at(PHASES.done).i32(1).memory("i32.atomic.rmw.add").i32(1).op("i32.add").get(shares).op("i32.eq").if(() => {
    at(PHASES.done).i32(0).memory("i32.atomic.store");
    at(PHASES.ticket).get(phase).i32(1).op("i32.add").op("i64.extend_i32_u").i64(32n).op("i64.shl");
    f.memory("i64.atomic.store");
    // A notification costs more than everything else here.
    at(PHASES.sleepers).memory("i32.atomic.load").if(() => {
      at(PHASES.ticket + 4).i32(-1).memory("memory.atomic.notify").op("drop");
    });
  });
  return f;
}
