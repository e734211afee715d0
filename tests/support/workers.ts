/** The workers behind threads, for tests of what becomes of those that end. */
import process from "node:process";

/** What tests do with a worker: end it, or lose what it sends. */
interface CapturedWorker {
  terminate(): Promise<number>;
  removeAllListeners(event: "message"): unknown;
}

/** Hands `run` the workers of threads that are started while it runs, in their order. */
export async function capturingWorkers(
  run: (workers: readonly CapturedWorker[]) => Promise<void>,
): Promise<void> {
  const threads = process.getBuiltinModule("node:worker_threads");
  const { getBuiltinModule } = process;
  const workers: CapturedWorker[] = [];
  const Captured = class extends threads.Worker {
    constructor(...args: ConstructorParameters<typeof threads.Worker>) {
      super(...args);
      workers.push(this);
    }
  };
  Reflect.set(
    process,
    "getBuiltinModule",
    (name: string) =>
      name === "node:worker_threads"
        ? { ...threads, Worker: Captured }
        : Reflect.apply(getBuiltinModule, process, [name]),
  );
  try {
    await run(workers);
  } finally {
    Reflect.set(process, "getBuiltinModule", getBuiltinModule);
  }
}
