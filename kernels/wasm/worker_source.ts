/**
 * The code of a pool's worker as text: a worker is created from a string, so that it needs no file, no
 * permission and no bundler. Also the layout of the control block in shared memory, which both sides read.
 * The caller's side is `threads.ts`.
 */

/** How many arguments a call may have besides those of its phases. */
export const MAX_ARGUMENTS = 16;

/**
 * Byte offsets of the words of phases (`phases.ts`); words that threads spin on have a cache line to
 * themselves.
 */
export const PHASES = { ticket: 0, done: 64, late: 128, poison: 132, sleepers: 136, bytes: 192 } as const;

/** The values of the poison word; 0 while there is no failure. */
export const POISON = { failed: 1, timedOut: 2 } as const;

/** Word offsets (4 bytes each) in the control block. Every group starts a cache line of 16 words. */
export const CONTROL = {
  phases: 0,
  /** Counts calls and messages; it changes before their data does. */
  generation: 48,
  /** The kernel to call, or one of `NO_KERNEL`; how many threads share it, and its first phase. */
  kernel: 49,
  threads: 50,
  phase: 51,
  count: 52,
  arguments: 64,
  /** Always 0: a thread that waits on it waits for the timeout. */
  aside: 80,
  /** 0, or one more than the first thread that failed. */
  failed: 81,
  /** The message of the first thread that failed: the number of UTF-16 units, then the units, a word each. */
  messageLength: 82,
  message: 83,
  messageUnits: 125,
  /**
   * For each worker: the last generation it was given, how it sleeps, how many messages were posted to it, and
   * whether it has started: its messages may come after its end, or never.
   */
  workers: 208,
  told: 0,
  sleep: 1,
  posted: 2,
  started: 3,
  wordsPerWorker: 16,
} as const;

/** Values in place of a kernel: there is a message to receive, or the worker must leave its loop for good. */
export const NO_KERNEL = { message: 0, stop: -1 } as const;

/**
 * How a worker sleeps: not at all, on a word of memory, or in its event loop, where only a message wakes it.
 */
export const SLEEP = { awake: 0, dozing: 1, idle: 2 } as const;

/**
 * How long a worker without work spins, and then dozes. After that it returns to its event loop, where it
 * costs nothing and can be terminated: a worker that waits on a word outlives the one that started it.
 */
export const SPIN_MILLISECONDS = 1, DOZE_MILLISECONDS = 50;

/**
 * A worker that only computes allocates next to nothing, so its engine would keep unloaded modules for hundreds of
 * further ones. An engine collects garbage when much memory outside of its heap is asked for, and memory that is never
 * written to takes none: after so many unloaded modules a worker asks for so many bytes, which takes it 3 ms.
 */
export const MODULES_TO_COLLECT = 32, BYTES_TO_COLLECT = 2 ** 28;

/** What a worker is sent: first `start`, then modules; `wake` is not counted as a message. */
export type ToWorker =
  | {
    readonly kind: "start";
    readonly memory: WebAssembly.Memory;
    readonly controlAddress: number;
    readonly thread: number;
  }
  | { readonly kind: "load"; readonly id: number; readonly module: WebAssembly.Module }
  | { readonly kind: "unload"; readonly id: number }
  | { readonly kind: "wake" };

/** The replies of a worker. */
export interface FromWorker {
  /** The id of the module that it has loaded; 0 once it has started. */
  readonly id: number;
  /** Why it could not. */
  readonly error?: string;
}

/** The script of a worker. */
export const WORKER_SOURCE = `"use strict";
const CONTROL = ${JSON.stringify(CONTROL)};
const PHASES = ${JSON.stringify(PHASES)};
const NO_KERNEL = ${JSON.stringify(NO_KERNEL)};
const SLEEP = ${JSON.stringify(SLEEP)};
const SPIN_MILLISECONDS = ${SPIN_MILLISECONDS}, DOZE_MILLISECONDS = ${DOZE_MILLISECONDS};

const port = globalThis.process?.getBuiltinModule?.("node:worker_threads")?.parentPort ?? globalThis;
const pause = Atomics.pause ?? (() => {});
const kernels = new Map();
let memory, words, own, thread, seen = 0, received = 0, unloaded = 0, stopped = false;

function receive(message) {
  if (message.kind !== "wake") {
    received++;
    let error;
    try {
      if (message.kind === "start") start(message);
      else if (message.kind === "load") load(message);
      else unload(message);
    } catch (thrown) {
      error = String(thrown?.message ?? thrown);
    }
    if (message.kind !== "unload") port.postMessage({ id: message.id ?? 0, error });
  }
  serve();
}

function start(message) {
  ({ memory, thread } = message);
  words = new Int32Array(memory.buffer, message.controlAddress);
  own = CONTROL.workers + (thread - 1) * CONTROL.wordsPerWorker;
  Atomics.store(words, own + CONTROL.started, 1);
}

function load({ id, module }) {
  const math = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === "math") math[name] = Math[name];
  }
  kernels.set(id, new WebAssembly.Instance(module, { env: { memory }, math }).exports.run);
}

function unload({ id }) {
  kernels.delete(id);
  if (++unloaded % ${MODULES_TO_COLLECT} !== 0) return;
  try {
    new ArrayBuffer(${BYTES_TO_COLLECT});
  } catch {
    // Where so much cannot be had, the engine collects when it sees fit.
  }
}

/** Runs calls until it has to return to the event loop: for a message, or because there is no work. */
function serve() {
  if (words === undefined || stopped) return;
  Atomics.store(words, own + CONTROL.sleep, SLEEP.awake);
  for (;;) {
    if (Atomics.load(words, own + CONTROL.posted) !== received) return;
    const told = Atomics.load(words, own + CONTROL.told);
    if (told === seen) {
      if (!awaitNews()) return;
    } else if (call(told)) {
      // It has waited long for other threads. A message that ends this worker is received, then it joins in again.
      setTimeout(serve);
      return;
    } else {
      seen = told;
      if (stopped) return;
    }
  }
}

/** Takes part in a call; returns whether it left early. */
function call(told) {
  const id = Atomics.load(words, CONTROL.kernel), threads = Atomics.load(words, CONTROL.threads);
  const phase = Atomics.load(words, CONTROL.phase), count = Atomics.load(words, CONTROL.count);
  const args = [];
  for (let index = 0; index < count; index++) args.push(Atomics.load(words, CONTROL.arguments + index));
  // The next call is being announced: this one is over.
  if (Atomics.load(words, CONTROL.generation) !== told) return false;
  if (id === NO_KERNEL.stop) stopped = true;
  const run = kernels.get(id);
  if (run === undefined) return false;
  let mine = 0;
  for (let share = thread; share < 32; share += threads) mine |= 1 << share;
  try {
    return run(thread, mine, phase, ...args) === 1;
  } catch (thrown) {
    fail(thrown);
    return false;
  }
}

/** Waits for a call; false if it continues to wait in the event loop. */
function awaitNews() {
  const until = performance.now() + SPIN_MILLISECONDS;
  do {
    for (let spin = 0; spin < 64; spin++) {
      if (Atomics.load(words, own + CONTROL.told) !== seen) return true;
      pause();
    }
  } while (performance.now() < until);
  Atomics.store(words, own + CONTROL.sleep, SLEEP.dozing);
  Atomics.wait(words, own + CONTROL.told, seen, DOZE_MILLISECONDS);
  Atomics.store(words, own + CONTROL.sleep, SLEEP.idle);
  if (Atomics.load(words, own + CONTROL.told) === seen) return false;
  Atomics.store(words, own + CONTROL.sleep, SLEEP.awake);
  return true;
}

/** The first thread that fails leaves a message; all threads that wait for a share leave. */
function fail(thrown) {
  if (Atomics.compareExchange(words, CONTROL.failed, 0, thread + 1) === 0) {
    const message = String(thrown?.message ?? thrown).slice(0, CONTROL.messageUnits);
    words[CONTROL.messageLength] = message.length;
    for (let unit = 0; unit < message.length; unit++) {
      words[CONTROL.message + unit] = message.charCodeAt(unit);
    }
  }
  Atomics.compareExchange(words, CONTROL.phases + PHASES.poison / 4, 0, ${POISON.failed});
  Atomics.notify(words, CONTROL.phases + PHASES.ticket / 4 + 1);
}

if (port === globalThis) globalThis.onmessage = ({ data }) => receive(data);
else port.on("message", receive);
`;
