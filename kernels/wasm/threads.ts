/**
 * The thread pool of the wasm backend: workers that run the same kernel at the same time as the calling thread, over
 * one shared memory. A call goes through words of that memory (the control block), not through messages, so that it
 * takes microseconds; workers spin for a moment after each call and then sleep. What a worker does is in
 * `worker_source.ts`, how threads meet inside a kernel in `barrier.ts`.
 *
 * A failure never hangs. A trap or exception on any thread is caught there, noted in the control block and poisons the
 * barrier, so that the others leave it. A worker that is gone is found when its `exit` or `error` event arrives between
 * calls; during a call, which blocks, only by time: it has not begun after `startSeconds`, or not finished
 * `finishSeconds` after the caller did, or a barrier waited as long. What cannot be told apart is a worker that was
 * killed inside a kernel and one that is merely slow, nor can an endless loop in the calling thread's own share be left.
 * After any failure the pool refuses further calls: other threads may have stopped half way through.
 */
import { startWorker, type Thread } from "./start_worker.ts";
import { BARRIER, COMMAND, CONTROL, type FromWorker, MAX_ARGUMENTS, POISON } from "./worker_source.ts";

/** Options of {@linkcode createPool}. */
export interface PoolOptions {
  /** How many threads, the calling one included. */
  readonly threads: number;
  /** The memory that modules import as `env.memory`. Where it is not shared, the pool has one thread. */
  readonly memory: WebAssembly.Memory;
  /** Where the control block lies: a multiple of 64, with {@linkcode controlBytes} bytes for the pool alone. */
  readonly controlAddress: number;
  /**
   * After so many seconds in which a worker has not begun a call, it is held to be gone.
   * @default 10
   */
  readonly startSeconds?: number;
  /**
   * After so many seconds in which a worker has not finished though the caller has, it is held to be gone.
   * @default 600
   */
  readonly finishSeconds?: number;
}

/** Threads that run kernels together. */
export interface Pool extends Disposable {
  /** How many threads there are, the calling one included. */
  readonly threads: number;
  /** The address that kernels hand to `barrier(address, threads)`. */
  readonly barrierAddress: number;
  /**
   * Makes a module known to all threads and resolves to its id. It may import `env.memory` and functions of `Math` as
   * `math.<name>`, and exports `run(thread, threads, ...args)`.
   *
   * @throws {TypeError} If it imports anything else, or does not export `run`.
   */
  load(module: WebAssembly.Module): Promise<number>;
  /** Forgets a module. */
  unload(id: number): void;
  /**
   * Calls `run(thread, threads, ...args)` of a module on every thread, the calling one as thread 0, and returns when
   * all have finished. Blocks; calls do not overlap.
   *
   * @throws {Error} If a thread failed, now or in an earlier call, or the pool is disposed of.
   */
  run(id: number, args: readonly number[]): void;
}

/** The bytes that the control block of a pool takes. */
export function controlBytes(threads: number): number {
  return 4 * (CONTROL.workers + CONTROL.wordsPerWorker * (threads - 1));
}

/** As many threads as the machine runs at once, but at most 8: recurrent models rarely have work for more. */
export function defaultThreads(): number {
  const concurrency: number | undefined = globalThis.navigator?.hardwareConcurrency;
  return Math.max(1, Math.min(concurrency ?? 1, 8));
}

/** Whether the calling thread may block: the main thread of a browser may not. */
export function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0); // not equal: returns at once
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a pool. Without `SharedArrayBuffer` (a page that is not cross-origin isolated), with a memory that is not
 * shared or for one thread it has no workers, and `threads` is 1.
 *
 * @throws {RangeError} If `threads` or `controlAddress` cannot be.
 * @throws {Error} If a worker cannot be started.
 */
export async function createPool(options: PoolOptions): Promise<Pool> {
  const { threads, memory, controlAddress } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(
      `Cannot create a pool: threads must be a positive integer, current value is ${threads}`,
    );
  }
  const end = controlAddress + controlBytes(threads);
  if (controlAddress % 64 !== 0 || controlAddress < 0 || end > memory.buffer.byteLength) {
    throw new RangeError(
      `Cannot create a pool: controlAddress must be a multiple of 64 with ${
        controlBytes(threads)
      } bytes behind it ` +
        `in a memory of ${memory.buffer.byteLength}, current value is ${controlAddress}`,
    );
  }
  const shared = typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;
  const pool = new ThreadPool({ ...options, threads: shared ? threads : 1 });
  try {
    await pool.start();
  } catch (error) {
    pool[Symbol.dispose]();
    throw error;
  }
  return pool;
}

/** An answer that is awaited from every worker. */
interface Awaited {
  remaining: number;
  error: string | undefined;
  readonly settle: (error: Error | undefined) => void;
}

/**
 * How long the caller spins before it sleeps: longer than workers take to wake, about 0.1 ms, as it would have to be
 * woken in its turn.
 */
const SPIN_MILLISECONDS = 1;

/** How long the caller steps aside for workers that wake. */
const STEP_ASIDE_MILLISECONDS = 0.02;

type Kernel = (thread: number, threads: number, ...args: readonly number[]) => void;

class ThreadPool implements Pool {
  readonly threads: number;
  readonly barrierAddress: number;
  readonly #memory: WebAssembly.Memory;
  readonly #controlAddress: number;
  readonly #words: Int32Array;
  readonly #arguments: Float64Array;
  readonly #startSeconds: number;
  readonly #finishSeconds: number;
  readonly #mayWait = mayWait();
  readonly #workers: Thread[] = [];
  readonly #kernels = new Map<number, Kernel>();
  readonly #awaited = new Map<number, Awaited>();
  #loading: Promise<void> = Promise.resolve();
  #generation = 0;
  #ids = 0;
  #failure: Error | undefined;
  #disposed = false;

  constructor({ threads, memory, controlAddress, startSeconds = 10, finishSeconds = 600 }: PoolOptions) {
    this.threads = threads;
    this.barrierAddress = controlAddress + 4 * CONTROL.barrier;
    this.#memory = memory;
    this.#controlAddress = controlAddress;
    // A shared memory that grows keeps its old buffers valid, so that these views last. One that is not shared would
    // detach them; one thread has nobody to share the control block with, so that its own is as good.
    const [block, start] = threads > 1
      ? [memory.buffer, controlAddress]
      : [new ArrayBuffer(controlBytes(threads)), 0];
    this.#words = new Int32Array(block, start, controlBytes(threads) / 4).fill(0);
    this.#arguments = new Float64Array(block, start + 4 * CONTROL.arguments, MAX_ARGUMENTS);
    this.#startSeconds = startSeconds;
    this.#finishSeconds = finishSeconds;
  }

  async start(): Promise<void> {
    for (let thread = 1; thread < this.threads; thread++) {
      this.#workers.push(startWorker({
        answered: (answer) => this.#answered(answer),
        gone: (reason) => this.#gone(thread, reason),
      }));
    }
    const started = this.#answers(0);
    this.#workers.forEach((worker, index) =>
      worker.post({
        kind: "start",
        memory: this.#memory,
        controlAddress: this.#controlAddress,
        thread: index + 1,
        threads: this.threads,
      })
    );
    await started;
  }

  load(module: WebAssembly.Module): Promise<number> {
    // One at a time: each message is followed by one command to receive it.
    const loaded = this.#loading.then(() => this.#load(module));
    this.#loading = loaded.then(() => {}, () => {});
    return loaded;
  }

  async #load(module: WebAssembly.Module): Promise<number> {
    this.#check("load a module");
    const instance = await WebAssembly.instantiate(module, importsOf(module, this.#memory));
    const { run } = instance.exports;
    if (typeof run !== "function") throw new TypeError("Cannot load a module: it does not export `run`");
    this.#check("load a module");
    const id = ++this.#ids;
    if (this.#workers.length > 0) {
      const loaded = this.#answers(id);
      for (const worker of this.#workers) worker.post({ kind: "load", id, module });
      this.#command(COMMAND.receive, id);
      try {
        await loaded;
      } catch (error) {
        if (!this.#failure && !this.#disposed) this.#command(COMMAND.unload, id); // some may have loaded it
        throw error;
      }
    }
    this.#kernels.set(id, run as Kernel); // an exported function; its signature is the contract of `load`
    return id;
  }

  unload(id: number): void {
    this.#check("unload a module");
    if (!this.#kernels.delete(id)) throw new RangeError(`Cannot unload a module: no module has the id ${id}`);
    this.#command(COMMAND.unload, id);
  }

  run(id: number, args: readonly number[]): void {
    this.#check("run a kernel");
    const kernel = this.#kernels.get(id);
    if (!kernel) throw new RangeError(`Cannot run a kernel: no module has the id ${id}`);
    if (args.length > MAX_ARGUMENTS) {
      throw new RangeError(
        `Cannot run a kernel: it takes at most ${MAX_ARGUMENTS} arguments, got ${args.length}`,
      );
    }
    this.#command(COMMAND.run, id, args);
    try {
      kernel(0, this.threads, ...args);
    } catch (thrown) {
      // A worker that failed first has said why; the caller then fails at the barrier only.
      if (Atomics.compareExchange(this.#words, CONTROL.failed, 0, 1) === 0) {
        this.#failure = this.#describe(0, thrown instanceof Error ? thrown.message : String(thrown), thrown);
      }
      this.#poison();
    }
    this.#finish();
    const failed = Atomics.load(this.#words, CONTROL.failed);
    if (failed > 1) {
      const start = CONTROL.message, length = this.#words[CONTROL.messageLength];
      this.#failure = this.#describe(
        failed - 1,
        String.fromCharCode(...this.#words.subarray(start, start + length)),
      );
    }
    if (this.#failure) throw this.#failure;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // Workers leave their loop by themselves: one that is terminated while it sleeps keeps Deno from ending.
    this.#command(COMMAND.stop, 0);
    for (const worker of this.#workers) worker.terminate();
    this.#workers.length = 0;
    this.#kernels.clear();
    for (const { settle } of [...this.#awaited.values()]) settle(new Error("The pool is disposed of"));
  }

  /** Tells all workers what to do, once they have done what they were told before. */
  #command(command: number, kernel: number, args: readonly number[] = []): void {
    if (this.#workers.length === 0) return;
    if (command !== COMMAND.stop) this.#finish();
    for (let index = 0; index < args.length; index++) this.#arguments[index] = args[index];
    const words = this.#words;
    words[CONTROL.command] = command;
    words[CONTROL.kernel] = kernel;
    words[CONTROL.count] = args.length;
    this.#generation = (this.#generation + 1) | 0;
    Atomics.store(words, CONTROL.generation, this.#generation);
    if (Atomics.load(words, CONTROL.sleepers) === 0) return;
    Atomics.notify(words, CONTROL.generation);
    // A worker that wakes is first put on the processor of whoever woke it, and stays there for milliseconds while that
    // one is busy. Who steps aside for a moment is put on another.
    if (this.#mayWait) Atomics.wait(words, CONTROL.aside, 0, STEP_ASIDE_MILLISECONDS);
  }

  /** Waits until all workers have done what they were told. */
  #finish(): void {
    for (let thread = 1; thread <= this.#workers.length; thread++) {
      const worker = CONTROL.workers + (thread - 1) * CONTROL.wordsPerWorker;
      if (!this.#isDone(worker)) this.#wait(worker, thread);
    }
  }

  #isDone(worker: number): boolean {
    return Atomics.load(this.#words, worker + CONTROL.done) === this.#generation;
  }

  #wait(worker: number, thread: number): void {
    const spinUntil = performance.now() + SPIN_MILLISECONDS;
    do {
      for (let spin = 0; spin < 64; spin++) {
        if (this.#isDone(worker)) return;
        pause();
      }
    } while (performance.now() < spinUntil);
    const words = this.#words;
    Atomics.store(words, CONTROL.callerSleeps, 1);
    // Slices are counted, not the clock: a computer that was asleep has lost one slice at most.
    const slice = Math.min(1, this.#startSeconds, this.#finishSeconds);
    for (let waited = 0; !this.#isDone(worker);) {
      const before = Atomics.load(words, worker + CONTROL.done);
      if (before === this.#generation) break;
      if (this.#sleep(worker + CONTROL.done, before, slice)) continue;
      waited += slice;
      const begun = Atomics.load(words, worker + CONTROL.begun) === this.#generation;
      // Who did not come to the barrier in time has had its time already.
      if (waited < (begun && !this.#barrierTimedOut() ? this.#finishSeconds : this.#startSeconds)) continue;
      this.#poison();
      this.#break(this.#describe(thread, `it did not ${begun ? "finish" : "begin"} within ${waited} s`));
      throw this.#failure;
    }
    Atomics.store(words, CONTROL.callerSleeps, 0);
  }

  /** Waits for a word to change; false if it has not done so for `seconds`. */
  #sleep(index: number, value: number, seconds: number): boolean {
    if (this.#mayWait) return Atomics.wait(this.#words, index, value, seconds * 1000) !== "timed-out";
    const until = performance.now() + seconds * 1000;
    do {
      for (let spin = 0; spin < 64; spin++) {
        if (Atomics.load(this.#words, index) !== value) return true;
        pause();
      }
    } while (performance.now() < until);
    return false;
  }

  /** Releases all that wait at the barrier. */
  #poison(): void {
    const first = CONTROL.barrier;
    Atomics.compareExchange(this.#words, first + BARRIER.poison / 4, 0, POISON.failed);
    Atomics.add(this.#words, first + BARRIER.generation / 4, 1);
    Atomics.notify(this.#words, first + BARRIER.generation / 4);
  }

  #barrierTimedOut(): boolean {
    return Atomics.load(this.#words, CONTROL.barrier + BARRIER.poison / 4) === POISON.timedOut;
  }

  #describe(thread: number, message: string, cause?: unknown): Error {
    const why = this.#barrierTimedOut()
      ? `another thread did not come to the barrier in time (${message})`
      : message;
    return new Error(`Thread ${thread} of ${this.threads} failed: ${why}`, { cause });
  }

  #check(what: string): void {
    if (this.#disposed) throw new Error(`Cannot ${what}: the pool is disposed of`);
    if (this.#failure) {
      throw new Error(`Cannot ${what}: the pool cannot be used after a failure (${this.#failure.message})`, {
        cause: this.#failure,
      });
    }
  }

  /** Resolves when every worker has answered about `id`; until then they keep the process alive. */
  #answers(id: number): Promise<void> {
    if (this.#workers.length === 0) return Promise.resolve();
    for (const worker of this.#workers) worker.keepAlive(true);
    const answers = new Promise<void>((resolve, reject) => {
      this.#awaited.set(id, {
        remaining: this.#workers.length,
        error: undefined,
        settle: (error) => {
          this.#awaited.delete(id);
          for (const worker of this.#workers) worker.keepAlive(false);
          if (error) reject(error);
          else resolve();
        },
      });
    });
    answers.catch(() => {}); // whoever awaits them may have failed before
    return answers;
  }

  #answered({ thread, id, error }: FromWorker): void {
    const awaited = this.#awaited.get(id);
    if (!awaited) return;
    if (error !== undefined) awaited.error ??= `Thread ${thread} of ${this.threads} failed: ${error}`;
    if (--awaited.remaining > 0) return;
    awaited.settle(awaited.error === undefined ? undefined : new Error(awaited.error));
  }

  #gone(thread: number, reason: string): void {
    if (!this.#disposed) this.#break(this.#describe(thread, reason));
  }

  /** Refuses all further calls and whatever is awaited; the first failure is the one told. */
  #break(failure: Error): void {
    this.#failure ??= failure;
    for (const { settle } of [...this.#awaited.values()]) settle(this.#failure);
  }
}

/** Gives the processor a hint that this is a spin loop, where the engine can. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {}); // not yet in the library's types

/** What a module imports, all of which must be known. */
function importsOf(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Imports {
  const math: Record<string, WebAssembly.ImportValue> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === "env" && name === "memory") continue;
    const found: unknown = from === "math" && kind === "function" ? Reflect.get(Math, name) : undefined;
    if (typeof found !== "function") {
      throw new TypeError(
        `Cannot load a module: it imports \`${from}.${name}\`, and only \`env.memory\` and functions of Math as ` +
          "`math.<name>` can be given",
      );
    }
    math[name] = found as WebAssembly.ImportValue; // a function, just checked
  }
  return { env: { memory }, math };
}
