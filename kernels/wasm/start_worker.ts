/** Starting a worker of the thread pool, on whichever host: how it is spoken to, and what is heard from it. */
import { type FromWorker, type ToWorker, WORKER_SOURCE } from "./worker_source.ts";

/** A worker of whichever host. */
export interface Thread {
  post(message: ToWorker): void;
  /** Whether the worker keeps the process alive: only while an answer is awaited. */
  keepAlive(alive: boolean): void;
  terminate(): void;
}

/** What is heard from a worker. */
export interface Listener {
  answered(answer: FromWorker): void;
  gone(reason: string): void;
}

/** The part of `node:worker_threads` that the pool uses. */
interface NodeWorkerThreads {
  readonly Worker: new (source: string, options: { readonly eval: true }) => {
    on(event: "message", listener: (message: FromWorker) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "exit", listener: (code: number) => void): void;
    postMessage(message: ToWorker): void;
    ref(): void;
    unref(): void;
    terminate(): Promise<number>;
  };
}

/**
 * A worker of Deno and Node by `node:worker_threads`, which needs no permission and does not keep the process from
 * ending; of a browser by a Blob.
 */
export function startWorker(listener: Listener): Thread {
  // `process` is not in the types of a browser's globals; where it is a polyfill it lacks `getBuiltinModule`.
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const node = process?.getBuiltinModule?.("node:worker_threads") as NodeWorkerThreads | undefined; // by its name
  if (node) {
    const worker = new node.Worker(WORKER_SOURCE, { eval: true });
    worker.on("message", (answer) => listener.answered(answer));
    worker.on("error", (error) => listener.gone(error.message));
    worker.on("exit", (code) => listener.gone(`its worker ended with code ${code}`));
    return {
      post: (message) => worker.postMessage(message),
      keepAlive: (alive) => alive ? worker.ref() : worker.unref(),
      terminate: () => void worker.terminate(),
    };
  }
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
    URL.revokeObjectURL(url); // not before the script has been read
    listener.answered(data);
  });
  worker.addEventListener("error", ({ message }) => {
    listener.gone(
      message || "its worker could not be started (a content security policy must allow `blob:`)",
    );
  });
  return {
    post: (message) => worker.postMessage(message),
    keepAlive: () => {},
    terminate: () => worker.terminate(),
  };
}
