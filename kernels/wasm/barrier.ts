/**
 * The barrier of the thread pool, as a wasm function that kernels call between phases. It counts arrivals and
 * generations (a sense-reversing barrier: Mellor-Crummey and Scott, "Algorithms for scalable synchronization on
 * shared-memory multiprocessors", 1991, section 3.1), spins for a while and then sleeps. A thread that fails poisons
 * the barrier; those that wait at it, or come to it later, trap. How a pool is run is in `threads.ts`.
 */
import { type FunctionBuilder, i32, type ModuleBuilder } from "./assembler.ts";
import { BARRIER, POISON } from "./worker_source.ts";

/**
 * How often the generation is read before a thread goes to sleep: about 0.3 ms. One thread's rows may take that much
 * longer than another's, and who sleeps takes 0.1 ms to wake.
 */
const SPINS = 300_000;

/** How a barrier waits. */
export interface BarrierOptions {
  /**
   * Whether the calling thread, thread 0, may block. The main thread of a browser may not: then it spins.
   * @default true
   */
  readonly mayWait?: boolean;
  /** The global that holds the number of the thread. Where thread 0 may not block and this is absent, all spin. */
  readonly thread?: number;
  /**
   * After so many seconds the missing thread is held to be gone, the barrier is poisoned and traps; about so many where
   * it only spins, as wasm has no clock.
   * @default 600
   */
  readonly limitSeconds?: number;
}

/**
 * Adds `barrier(address, threads)`, which returns once `threads` threads have called it, and at once for one thread.
 * `address` is a multiple of 64, where {@linkcode BARRIER}`.bytes` bytes of shared memory were zero at first; in a pool
 * that is `pool.barrierAddress`, as a failure poisons that one only.
 */
export function addBarrier(
  module: ModuleBuilder,
  { mayWait = true, thread, limitSeconds = 600 }: BarrierOptions = {},
): FunctionBuilder {
  const barrier = module.addFunction("barrier", [i32, i32]);
  const address = 0, threads = 1, generation = barrier.local(i32), spins = barrier.local(i32);
  const load = (offset: number) => barrier.get(address).memory("i32.atomic.load", offset);
  const add = (offset: number, value: number) =>
    barrier.get(address).i32(value).memory("i32.atomic.rmw.add", offset);
  const trapIfPoisoned = () => load(BARRIER.poison).if(() => barrier.op("unreachable"));
  const wakeAll = () => {
    barrier.get(address).i32(BARRIER.generation).op("i32.add").i32(-1).memory("memory.atomic.notify").op(
      "drop",
    );
  };
  const giveUp = () => {
    barrier.get(address).i32(POISON.timedOut).memory("i32.atomic.store", BARRIER.poison);
    add(BARRIER.generation, 1).op("drop");
    wakeAll();
    barrier.op("unreachable");
  };

  barrier.get(threads).i32(1).op("i32.le_s").if(() => barrier.op("return"));
  // In this order: who poisons writes the poison first, so that either it or a new generation is seen below.
  load(BARRIER.generation).set(generation);
  trapIfPoisoned();
  add(BARRIER.arrived, 1).i32(1).op("i32.add").get(threads).op("i32.eq").if(() => {
    barrier.get(address).i32(0).memory("i32.atomic.store", BARRIER.arrived);
    add(BARRIER.generation, 1).op("drop");
    load(BARRIER.sleepers).if(wakeAll); // a notification costs more than all the rest
    barrier.op("return");
  });
  const spinUntilNewGeneration = () =>
    barrier.i32(0).set(spins).loop(() => {
      load(BARRIER.generation).get(generation).op("i32.ne").if(() => {
        trapIfPoisoned();
        barrier.op("return");
      });
      barrier.get(spins).i32(1).op("i32.add").tee(spins).i32(SPINS).op("i32.lt_s").brIf(0);
    });
  const spinOn = () => {
    const rounds = barrier.local(i32);
    barrier.i32(0).set(rounds).loop(() => {
      spinUntilNewGeneration();
      barrier.get(rounds).i32(1).op("i32.add").tee(rounds);
      barrier.i32(Math.ceil(limitSeconds * 1e9 / SPINS)).op("i32.lt_s").brIf(0);
    });
    giveUp();
  };
  const sleep = () => {
    spinUntilNewGeneration();
    barrier.loop(() => {
      add(BARRIER.sleepers, 1).op("drop");
      barrier.get(address).i32(BARRIER.generation).op("i32.add").get(generation);
      barrier.i64(Math.round(limitSeconds * 1e9)).memory("memory.atomic.wait32").set(spins);
      add(BARRIER.sleepers, -1).op("drop");
      barrier.get(spins).i32(2).op("i32.eq").if(giveUp);
      load(BARRIER.generation).get(generation).op("i32.eq").brIf(0); // woken for nothing
    });
    trapIfPoisoned();
  };
  if (mayWait) sleep();
  else if (thread === undefined) spinOn();
  else {
    barrier.getGlobal(thread).op("i32.eqz").if(spinOn);
    sleep();
  }
  return barrier;
}
