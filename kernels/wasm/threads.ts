/**
 * The thread pool of the wasm backend: workers that compute shares of a kernel together with the calling
 * thread, over one shared memory. Calls are passed through words of that memory (the control block), not by
 * messages, so that they take microseconds; workers spin for a moment after each call, doze, and then return
 * to their event loop. What a worker does is in `worker_source.ts`, how threads share a kernel in
 * `phases.ts`, how many take part in `crew.ts`.
 *
 * No call depends on any one worker: a call is over when all its shares are computed, by whichever threads.
 * Calls go on without a worker that has not started yet, that the machine has no processor for, that could
 * not be started or that has ended; one that has ended is restarted. A call fails on a trap or exception on
 * any thread, or if a worker is killed while it computes a share, which only a timeout can detect
 * (`limitSeconds` in `phases.ts`). After a failure other threads may have stopped halfway, so the pool
 * refuses further calls.
 */
import { DeviceLost } from "../backend.ts";
import { warnOnce } from "../warn.ts";
import { createCrew, type Crew } from "../cpu/crew.ts";
import { sharesOf } from "./phases.ts";
import { startWorker, type Thread } from "./start_worker.ts";
import {
  CONTROL,
  type FromWorker,
  MAX_ARGUMENTS,
  NO_KERNEL,
  PHASES,
  POISON,
  SLEEP,
  type ToWorker,
} from "./worker_source.ts";

/** Options of {@linkcode createPool}. */
export interface PoolOptions {
  /** How many threads, the calling one included: from 2 to 32. */
  readonly threads: number;
  /** The shared memory that modules import as `env.memory`. */
  readonly memory: WebAssembly.Memory;
  /**
   * The address of the control block: a multiple of 64, followed by {@linkcode controlBytes} bytes for the
   * pool alone.
   */
  readonly controlAddress: number;
  /**
   * Chooses how many threads take part in the calls of each kernel.
   * @default createCrew
   */
  readonly crewOf?: (threads: number) => Crew;
  /**
   * Milliseconds that calls take before workers are started; they compute their shares alone until then.
   * @default 0, which starts workers at once
   */
  readonly startAfter?: number;
}

/** Threads that run kernels together. */
export interface Pool extends Disposable {
  /** Why workers are missing, if some could not be started. */
  readonly missing: string | undefined;
  /**
   * Sends a module to all threads and resolves to its id once the calling thread has it. It may import
   * `env.memory` and functions of `Math` as `math.<name>`, and exports `run(thread, mine, phase, ...args)` as
   * written by `phases.ts`.
   *
   * @throws {TypeError} If it imports anything else, or does not export `run`.
   */
  load(module: WebAssembly.Module): Promise<number>;
  /** Unloads a module; never throws. */
  unload(id: number): void;
  /**
   * Calls `run` of a module on the calling thread and on the workers that are ready for it, and returns when
   * all its phases are over. Blocks; calls do not overlap.
   *
   * @throws {DeviceLost} If a thread failed, now or in an earlier call.
   */
  run(id: number, args: readonly number[]): void;
  /** Starts the workers now, if they are not started yet. */
  start(): void;
  /** How many threads took part in the last call of a module. */
  threadsOf(id: number): number;
}

/** The address of the control block, and of the words of phases in it, in the memory of every device. */
export const CONTROL_ADDRESS = 64, PHASES_ADDRESS = CONTROL_ADDRESS + 4 * CONTROL.phases;

/** The size of a pool's control block in bytes. */
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
 * Creates a pool; its workers start in the background, at once or after `startAfter`.
 *
 * @throws {RangeError} If `threads` or `controlAddress` is out of range.
 */
export function createPool(options: PoolOptions): Pool {
  const { threads, memory, controlAddress } = options;
  if (!Number.isInteger(threads) || threads < 2 || threads > 32) {
    throw new RangeError(
      `Cannot create a pool: threads must be a whole number from 2 to 32, current value is ${threads}`,
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
  return new ThreadPool(options);
}

/** How long the caller sleeps to make way for waking workers. */
const STEP_ASIDE_MILLISECONDS = 0.02;

/**
 * How many workers that ended are restarted per thread: one that always ends must not be restarted forever.
 */
const MOST_RESTARTS = 3;

interface LoadedModule {
  readonly run: (thread: number, mine: number, phase: number, ...args: readonly number[]) => void;
  readonly module: WebAssembly.Module;
  readonly crew: Crew;
  /** The threads of the last call. */
  threads: number;
}

/** A worker and its state. */
interface Worker {
  thread: Thread | undefined;
  restarts: number;
}

class ThreadPool implements Pool {
  readonly #threads: number;
  readonly #memory: WebAssembly.Memory;
  readonly #controlAddress: number;
  readonly #words: Int32Array;
  readonly #crewOf: (threads: number) => Crew;
  readonly #mayWait = mayWait();
  readonly #workers: readonly Worker[];
  readonly #startAfter: number;
  #isStarted = false;
  /** Milliseconds of calls without workers. */
  #alone = 0;
  readonly #modules = new Map<number, LoadedModule>();
  /** How many threads shared the last call. */
  #crew = 0;
  #generation = 0;
  #ids = 0;
  #failure: Error | undefined;
  #missing: string | undefined;
  #disposed = false;

  constructor({ threads, memory, controlAddress, crewOf = createCrew, startAfter = 0 }: PoolOptions) {
    this.#crewOf = crewOf;
    this.#threads = threads;
    this.#memory = memory;
    this.#controlAddress = controlAddress;
    // A shared memory that grows keeps its old buffers valid, so this view stays valid.
    this.#words = new Int32Array(memory.buffer, controlAddress, controlBytes(threads) / 4).fill(0);
    this.#workers = Array.from(
      { length: threads - 1 },
      () => ({ thread: undefined, restarts: 0 }),
    );
    this.#startAfter = startAfter;
    if (startAfter === 0) this.start();
  }

  start(): void {
    if (this.#isStarted || this.#disposed || this.#failure) return;
    this.#isStarted = true;
    for (let thread = 1; thread < this.#threads; thread++) this.#start(thread);
  }

  get missing(): string | undefined {
    return this.#missing;
  }

  /** Starts the worker of a thread, and sends it everything that the others have. */
  #start(thread: number): void {
    const worker = this.#workers[thread - 1];
    this.#words.fill(0, this.#wordOf(thread, "told"), this.#wordOf(thread, "told") + CONTROL.wordsPerWorker);
    let isCurrent = true;
    const gone = (reason: string) => {
      if (isCurrent) this.#gone(thread, reason);
      isCurrent = false;
    };
    try {
      worker.thread = startWorker({
        answered: (answer) => this.#answered(thread, answer),
        gone: (reason) => setTimeout(gone, 0, reason), // not before `worker.thread` is set, on any host
      });
    } catch (error) {
      return this.#gone(thread, error instanceof Error ? error.message : String(error));
    }
    this.#post(thread, {
      kind: "start",
      memory: this.#memory,
      controlAddress: this.#controlAddress,
      thread,
    });
    for (const [id, { module }] of this.#modules) this.#post(thread, { kind: "load", id, module });
  }

  async load(module: WebAssembly.Module): Promise<number> {
    this.#check("load a module");
    const instance = await WebAssembly.instantiate(module, importsOf(module, this.#memory));
    const { run } = instance.exports;
    if (typeof run !== "function") throw new TypeError("Cannot load a module: it does not export `run`");
    this.#check("load a module");
    const id = ++this.#ids;
    // An exported function; its signature is the contract of `load`.
    const loaded = {
      run: run as LoadedModule["run"],
      module,
      crew: this.#crewOf(this.#threads),
      threads: this.#threads,
    };
    this.#modules.set(id, loaded);
    this.#postAll({ kind: "load", id, module });
    return id;
  }

  unload(id: number): void {
    if (!this.#modules.delete(id) || this.#disposed || this.#failure) return;
    this.#postAll({ kind: "unload", id });
  }

  threadsOf(id: number): number {
    return this.#modules.get(id)?.threads ?? this.#threads;
  }

  run(id: number, args: readonly number[]): void {
    this.#check("run a kernel");
    const loaded = this.#modules.get(id);
    if (!loaded) throw new RangeError(`Cannot run a kernel: no module has the id ${id}`);
    if (args.length > MAX_ARGUMENTS) {
      throw new RangeError(
        `Cannot run a kernel: it takes at most ${MAX_ARGUMENTS} arguments, got ${args.length}`,
      );
    }
    if (this.#alone >= this.#startAfter) this.start();
    const words = this.#words;
    const { threads } = loaded.crew;
    loaded.threads = threads;
    if (threads !== this.#crew) Atomics.store(words, CONTROL.phases + PHASES.late / 4, 0);
    this.#crew = threads;
    const phase = Atomics.load(words, CONTROL.phases + PHASES.ticket / 4 + 1);
    const began = performance.now();
    if (threads > 1) this.#tell(id, threads, phase, args);
    try {
      loaded.run(0, sharesOf(0, threads), phase, ...args);
    } catch (thrown) {
      this.#failed(thrown);
    }
    if (Atomics.load(words, CONTROL.failed) !== 0) this.#failed(undefined);
    const took = performance.now() - began;
    if (this.#isStarted) loaded.crew.took(took);
    else this.#alone += took;
  }

  /** @throws DeviceLost always; the first failure is the one reported. */
  #failed(thrown: unknown): never {
    const words = this.#words;
    const first = Atomics.compareExchange(words, CONTROL.failed, 0, 1);
    const poison = Atomics.compareExchange(words, CONTROL.phases + PHASES.poison / 4, 0, POISON.failed);
    Atomics.notify(words, CONTROL.phases + PHASES.ticket / 4 + 1);
    const start = CONTROL.message, length = words[CONTROL.messageLength];
    const message = poison === POISON.timedOut
      ? "a share that was begun was not computed in time; its worker was killed, or is still running"
      : first > 1
      ? String.fromCharCode(...words.subarray(start, start + length))
      : thrown instanceof Error
      ? thrown.message
      : String(thrown);
    this.#failure = new DeviceLost(
      `Thread ${Math.max(0, first - 1)} of ${this.#threads} failed: ${message}`,
      { cause: thrown },
    );
    throw this.#failure;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // Workers leave their loop by themselves: one that is terminated while it sleeps keeps Deno from ending.
    this.#tell(NO_KERNEL.stop, this.#threads);
    for (const worker of this.#workers) worker.thread?.terminate();
    this.#modules.clear();
  }

  #wordOf(thread: number, what: "told" | "sleep" | "posted" | "started"): number {
    return CONTROL.workers + (thread - 1) * CONTROL.wordsPerWorker + CONTROL[what];
  }

  /** Gives the workers among the first `threads` threads their next call. */
  #tell(kernel: number, threads: number, phase = 0, args: readonly number[] = []): void {
    const words = this.#words;
    const generation = this.#generation = (this.#generation + 1) | 0;
    // Stored first, so that a worker that is still reading the previous call notices.
    Atomics.store(words, CONTROL.generation, generation);
    Atomics.store(words, CONTROL.kernel, kernel);
    Atomics.store(words, CONTROL.threads, threads);
    Atomics.store(words, CONTROL.phase, phase);
    Atomics.store(words, CONTROL.count, args.length);
    for (let index = 0; index < args.length; index++) {
      Atomics.store(words, CONTROL.arguments + index, args[index]);
    }
    let woken = false;
    for (let thread = 1; thread < threads; thread++) {
      const worker = this.#workers[thread - 1].thread;
      if (!worker) continue;
      Atomics.store(words, this.#wordOf(thread, "told"), generation);
      const sleep = Atomics.load(words, this.#wordOf(thread, "sleep"));
      if (sleep === SLEEP.awake) continue;
      woken = true;
      if (sleep === SLEEP.dozing) Atomics.notify(words, this.#wordOf(thread, "told"));
      else if (Atomics.compareExchange(words, this.#wordOf(thread, "sleep"), sleep, SLEEP.awake) === sleep) {
        worker.post({ kind: "wake" });
      }
    }
    // The system first puts a waking worker on the processor of the thread that woke it, and leaves it there
    // for milliseconds while that thread is busy. If the caller sleeps for a moment, the worker is moved to
    // another one.
    if (woken && this.#mayWait) Atomics.wait(words, CONTROL.aside, 0, STEP_ASIDE_MILLISECONDS);
  }

  #post(thread: number, message: ToWorker): void {
    const worker = this.#workers[thread - 1].thread;
    if (!worker) return;
    Atomics.add(this.#words, this.#wordOf(thread, "posted"), 1);
    worker.post(message);
  }

  #postAll(message: ToWorker): void {
    for (let thread = 1; thread < this.#threads; thread++) this.#post(thread, message);
    this.#tell(NO_KERNEL.message, this.#threads);
  }

  #check(what: string): void {
    if (this.#failure) {
      throw new DeviceLost(
        `Cannot ${what}: the pool cannot be used after a failure (${this.#failure.message})`,
        { cause: this.#failure },
      );
    }
    if (this.#disposed) throw new Error(`Cannot ${what}: the pool is disposed of`);
  }

  #answered(thread: number, { error }: FromWorker): void {
    // It takes no part in the calls of a module that it could not load.
    if (error !== undefined) this.#miss(thread, error);
  }

  #gone(thread: number, reason: string): void {
    const worker = this.#workers[thread - 1];
    worker.thread = undefined;
    if (this.#disposed || this.#failure) return;
    const hasStarted = Atomics.load(this.#words, this.#wordOf(thread, "started")) !== 0;
    if (hasStarted && worker.restarts < MOST_RESTARTS) {
      worker.restarts++;
      this.#start(thread);
    } else this.#miss(thread, reason);
  }

  #miss(thread: number, reason: string): void {
    this.#missing ??= `thread ${thread} of ${this.#threads}: ${reason}`;
    warnOnce(`wasm runs with fewer threads than it could: ${reason}`);
  }
}

/** The imports of a module, all of which must be known. */
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
