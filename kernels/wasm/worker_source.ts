/**
 * What a worker of the pool runs, as text: a worker is made from a string, so that it needs no file, no permission and
 * no bundler. And how the control block lies in shared memory, which both sides read. The caller's side is `threads.ts`.
 */

/** How many arguments a call may have beside `thread` and `threads`. */
export const MAX_ARGUMENTS = 16;

/** Word offsets (4 bytes each) in the control block. Every group begins a cache line of 16 words. */
export const CONTROL = {
  /** Counts commands; workers wait for it to change. */
  generation: 0,
  /** How many workers sleep and must be notified. */
  sleepers: 1,
  /** Whether the caller sleeps and must be notified. */
  callerSleeps: 2,
  /** 0, or one more than the first thread that failed. */
  failed: 3,
  /** One of `COMMAND`, the kernel it is about and how many arguments there are. */
  command: 4,
  kernel: 5,
  count: 6,
  /** Always 0: who waits here waits for the time alone. */
  aside: 7,
  /** The arguments, as float64. */
  arguments: 16,
  barrier: 48,
  /** What the first thread that failed has to say: the number of UTF-16 units, then they, a word each. */
  messageLength: 80,
  message: 81,
  messageUnits: 127,
  /** For each worker, the last generation that it began and that it finished. */
  workers: 208,
  begun: 0,
  done: 1,
  wordsPerWorker: 16,
} as const;

/** Byte offsets within a barrier; what is spun upon has a cache line of its own. */
export const BARRIER = { arrived: 0, generation: 64, sleepers: 68, poison: 72, bytes: 128 } as const;

/** What the poison word holds; 0 while all is well. */
export const POISON = { failed: 1, timedOut: 2 } as const;

/** What a worker is told to do. */
export const COMMAND = {
  /** Calls a kernel. */
  run: 1,
  /** Receives the one message that was posted before: a module to load. */
  receive: 2,
  /** Forgets a kernel. */
  unload: 3,
  /** Leaves the loop for good. */
  stop: 4,
} as const;

/** How long an idle worker spins before it sleeps. */
export const SPIN_MILLISECONDS = 1;

/** What a worker is sent: first `start`, then modules. */
export type ToWorker =
  | {
    readonly kind: "start";
    readonly memory: WebAssembly.Memory;
    readonly controlAddress: number;
    readonly thread: number;
    readonly threads: number;
  }
  | { readonly kind: "load"; readonly id: number; readonly module: WebAssembly.Module };

/** What a worker answers. */
export interface FromWorker {
  /** Which worker. */
  readonly thread: number;
  /** The module that it has loaded; 0 once it has started. */
  readonly id: number;
  /** Why it could not. */
  readonly error?: string;
}

/** The script of a worker. */
export const WORKER_SOURCE = `"use strict";
const CONTROL = ${JSON.stringify(CONTROL)};
const COMMAND = ${JSON.stringify(COMMAND)};
const BARRIER = ${JSON.stringify(BARRIER)};
const POISON = ${JSON.stringify(POISON)};
const SPIN_MILLISECONDS = ${SPIN_MILLISECONDS};

const port = globalThis.process?.getBuiltinModule?.("node:worker_threads")?.parentPort ?? globalThis;
const pause = Atomics.pause ?? (() => {});
const kernels = new Map();
let memory, words, numbers, own, barrier, thread, threads, seen = 0;

function receive(message) {
  let error;
  try {
    if (message.kind === "start") start(message);
    else load(message);
  } catch (thrown) {
    error = String(thrown?.message ?? thrown);
  }
  port.postMessage({ thread, id: message.id ?? 0, error });
  serve();
}

function start(message) {
  ({ memory, thread, threads } = message);
  const { buffer } = memory;
  words = new Int32Array(buffer, message.controlAddress);
  numbers = new Float64Array(buffer, message.controlAddress + 4 * CONTROL.arguments, ${MAX_ARGUMENTS});
  own = CONTROL.workers + (thread - 1) * CONTROL.wordsPerWorker;
}

function load({ id, module }) {
  const math = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === "math") math[name] = Math[name];
  }
  kernels.set(id, new WebAssembly.Instance(module, { env: { memory }, math }).exports.run);
}

/** Obeys commands until the next message must be received, or for the last time. */
function serve() {
  let args = [];
  for (;;) {
    awaitCommand();
    seen = Atomics.load(words, CONTROL.generation);
    Atomics.store(words, own + CONTROL.begun, seen);
    const command = words[CONTROL.command], id = words[CONTROL.kernel], count = words[CONTROL.count];
    if (command === COMMAND.run) {
      if (args.length !== count) args = new Array(count).fill(0);
      for (let index = 0; index < count; index++) args[index] = numbers[index];
      try {
        kernels.get(id)(thread, threads, ...args);
      } catch (thrown) {
        fail(thrown);
      }
    } else if (command === COMMAND.unload) {
      kernels.delete(id);
    }
    Atomics.store(words, own + CONTROL.done, seen);
    if (Atomics.load(words, CONTROL.callerSleeps) !== 0) Atomics.notify(words, own + CONTROL.done);
    if (command === COMMAND.receive || command === COMMAND.stop) return;
  }
}

function awaitCommand() {
  const until = performance.now() + SPIN_MILLISECONDS;
  do {
    for (let spin = 0; spin < 64; spin++) {
      if (Atomics.load(words, CONTROL.generation) !== seen) return;
      pause();
    }
  } while (performance.now() < until);
  Atomics.add(words, CONTROL.sleepers, 1);
  while (Atomics.load(words, CONTROL.generation) === seen) Atomics.wait(words, CONTROL.generation, seen);
  Atomics.sub(words, CONTROL.sleepers, 1);
}

/** The first to fail leaves a message; all who wait at the barrier are released. */
function fail(thrown) {
  if (Atomics.compareExchange(words, CONTROL.failed, 0, thread + 1) === 0) {
    const message = String(thrown?.message ?? thrown).slice(0, CONTROL.messageUnits);
    words[CONTROL.messageLength] = message.length;
    for (let unit = 0; unit < message.length; unit++) {
      words[CONTROL.message + unit] = message.charCodeAt(unit);
    }
  }
  const first = CONTROL.barrier;
  Atomics.compareExchange(words, first + BARRIER.poison / 4, 0, POISON.failed);
  Atomics.add(words, first + BARRIER.generation / 4, 1);
  Atomics.notify(words, first + BARRIER.generation / 4);
}

if (port === globalThis) globalThis.onmessage = ({ data }) => receive(data);
else port.on("message", receive);
`;
